package io.talaria.backend.opencl;

import io.talaria.backend.Activations;
import io.talaria.backend.BatchLayout;
import io.talaria.backend.BatchShape;
import io.talaria.backend.DeviceException;
import io.talaria.backend.KvCache;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.backend.opencl.Command.Launch;
import io.talaria.backend.opencl.LaunchArgs.PairTiles;
import io.talaria.backend.opencl.LaunchArgs.PreparedRows;
import io.talaria.quant.TensorType;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * From the verbs of a step, whose tensors have been checked, to launches for the step's capacity. Slots are added by the norm
 * that comes next, and h is rounded by the router that computes it; all else is a launch of its own.
 */
final class Composer {
    private static final Unit NORM = Unit.of("norm");
    private static final Unit ROUTE = Unit.of("route");
    private static final Unit ATTENTION = Unit.of("attention");

    /** Of attention.cl. */
    private static final int SPLIT_POSITIONS = 128;

    private static final int SPLIT_HEADS = 4;
    private static final int MOST_DIM = 256;

    private static final long MOST_PARTIAL_BYTES = 64 << 20;
    /** Wanted rows whose logits are kept at once. */
    private static final int WANTED_CHUNK = 64;

    private static final int BLOCK_ROWS = 32; // of gate_up.cl
    private static final int GROUPED_PAIRS = 1;
    private static final int GROUPED_PAIRS_OF_ROWS = 2;

    private final Tuning tuning;
    private final BatchShape shape;
    private final BatchLayout at;
    private final boolean int8;
    private final Memory.Buffer batch;
    private final Scratch scratch;
    private final List<Command> commands = new ArrayList<>();
    private final Map<Region, Long> bytes = new EnumMap<>(Region.class);

    /** The last command, if it is this one, may be changed for the sake of the verb that follows. */
    private DeviceTensor slotsAddedTo; // add_slots

    private DeviceTensor routed; // route, h

    Composer(Tuning tuning, StepOptions options, Memory.Buffer batch, Scratch scratch) {
        this.tuning = tuning;
        this.shape = options.batch();
        this.at = BatchLayout.of(shape);
        this.int8 = options.activations() != Activations.HALF;
        this.batch = batch;
        this.scratch = scratch;
        region(Region.NOTHING, 1);
    }

    List<Command> commands() {
        return commands;
    }

    /** What each region has to hold. */
    Map<Region, Long> regionBytes() {
        return bytes;
    }

    void add(Command command) {
        slotsAddedTo = null;
        routed = null;
        commands.add(command);
    }

    private void launch(Unit unit, String kernel, int lanes, long x, long y, long z, LaunchArgs args) {
        add(new Launch(unit, kernel, lanes, x, y, z, args.array()));
    }

    /** A work-group of {@code ROW_LANES} for each of {@code count} rows. */
    private void launchRows(Unit unit, String kernel, long count, LaunchArgs args) {
        launch(unit, kernel, tuning.rowLanes(), count, 1, 1, args);
    }

    private Region region(Region region, long count) {
        bytes.merge(region, count, Math::max);
        return region;
    }

    private static long parts(long count, long size) {
        return (count + size - 1) / size;
    }

    private boolean takesCodes(DeviceTensor weight) {
        return int8 && weight.type().quantised();
    }

    /** Rows in scratch memory; {@code values} is the first of three regions. */
    private PreparedRows prepared(Region values, long count, long columns, boolean asValues, boolean asCodes) {
        long stride = WeightLayout.roundUp(columns, 32);
        Region codes = Region.values()[values.ordinal() + 1];
        Region scales = Region.values()[values.ordinal() + 2];
        return new PreparedRows(
                asValues ? region(values, count * stride * Float.BYTES) : Region.NOTHING,
                asCodes ? region(codes, count * stride) : Region.NOTHING,
                asCodes ? region(scales, count * stride / 32 * Long.BYTES) : Region.NOTHING,
                stride,
                (asValues ? PreparedRows.AS_VALUES : 0) | (asCodes ? PreparedRows.AS_CODES : 0));
    }

    void embed(DeviceTensor x, DeviceTensor table) {
        for (DeviceTensor.Part part : table.parts()) {
            launchRows(
                    NORM,
                    "embed",
                    shape.rows(),
                    new LaunchArgs()
                            .rows(batch)
                            .add(at.token())
                            .weight(table, part)
                            .add(table.type().id(), x.buffer()));
        }
    }

    void addSlots(DeviceTensor x, DeviceTensor slots) {
        launchRows(
                NORM,
                "add_slots",
                shape.rows(),
                slots(new LaunchArgs().rows(batch), slots).add(x.buffer(), columns(x)));
        slotsAddedTo = x;
    }

    /** {@code SLOTS_ARGS} */
    private static LaunchArgs slots(LaunchArgs args, DeviceTensor slots) {
        return args.add(
                slots.buffer(), slots.shape().planes(), (int) slots.shape().outer(), (int)
                        slots.shape().rows());
    }

    private static int columns(DeviceTensor tensor) {
        return (int) tensor.shape().columns();
    }

    /** n = rms_norm(x) * norm of the batch's rows, with the slots that the command before would have added to x. */
    private PreparedRows norm(DeviceTensor x, DeviceTensor norm, float epsilon, boolean values, boolean codes) {
        LaunchArgs args = new LaunchArgs().rows(batch).add(0);
        if (slotsAddedTo == x) {
            Object[] waiting = ((Launch) commands.removeLast()).args();
            args.add(waiting[3], waiting[4], waiting[5], waiting[6]); // its SLOTS_ARGS, behind BATCH_ARGS
        } else {
            args.add(Region.NOTHING, 0L, 0, 0);
        }
        PreparedRows out = prepared(Region.INPUT_VALUES, shape.rows(), columns(x), values, codes);
        launchRows(NORM, "norm", shape.rows(), normArgs(args, x, norm, epsilon).out(out));
        return out;
    }

    private static LaunchArgs normArgs(LaunchArgs args, DeviceTensor x, DeviceTensor norm, float epsilon) {
        return args.add(x.buffer(), norm.whole().buffer(), columns(x), epsilon);
    }

    private PreparedRows quantized(DeviceTensor rows, boolean values, boolean codes) {
        PreparedRows out = prepared(Region.INPUT_VALUES, shape.rows(), columns(rows), values, codes);
        LaunchArgs args = new LaunchArgs().rows(batch).add(rows.buffer(), columns(rows));
        launchRows(NORM, "quantize", shape.rows(), args.out(out));
        return out;
    }

    /**
     * Where a product goes.
     *
     * @param buffer a buffer or a region of floats
     * @param begin the first float; rows are {@code stride} floats apart
     */
    private record Target(Object buffer, long begin, long stride, boolean add) {}

    /** target = weight · in of rows: a launch for each part of the weight. */
    private void product(
            PreparedRows in, DeviceTensor weight, int rows, int firstWanted, boolean wanted, Target target) {
        int tile = rows == 1 ? 1 : Tuning.TILE_ROWS;
        LaunchArgs which = wanted ? new LaunchArgs().wanted(batch, firstWanted) : new LaunchArgs().rows(batch);
        product(which, in, weight, tile, parts(rows, tile), PairTiles.NONE, 0, target);
    }

    private void product(
            LaunchArgs which,
            PreparedRows in,
            DeviceTensor weight,
            int tileRows,
            long tiles,
            PairTiles pairs,
            int grouped,
            Target target) {
        boolean codes = takesCodes(weight);
        Object[] begin = which.array();
        for (DeviceTensor.Part part : weight.parts()) {
            LaunchArgs args =
                    new LaunchArgs().add(begin).in(in).weight(weight, part).tiles(pairs);
            args.add(target.buffer(), target.begin(), target.stride(), target.add() ? 1 : 0, grouped);
            launch(
                    Unit.of("product", weight.type(), codes, tileRows),
                    Unit.kernel("product", weight.type(), codes, tileRows),
                    tuning.productLanes(),
                    tiles,
                    parts(part.rows(), (long) tuning.teams() * tuning.weightRows()),
                    1,
                    args);
        }
    }

    /** The tensors of {@code attentionInput}, checked. */
    record AttentionInput(
            DeviceTensor q, DeviceTensor x, DeviceTensor norm, DeviceTensor wq, DeviceTensor wk, DeviceTensor wv) {}

    void attentionInput(AttentionInput in, KvCache kv, int layer, int ropeDims, float ropeBase, float epsilon) {
        Memory.Buffer frequency = scratch.frequency(ropeDims, ropeBase); // first: there may be no memory for it
        boolean codes = false;
        boolean values = false;
        for (DeviceTensor weight : List.of(in.wq(), in.wk(), in.wv())) {
            codes |= takesCodes(weight);
            values |= !takesCodes(weight);
        }
        PreparedRows normed = norm(in.x(), in.norm(), epsilon, values, codes);
        int rows = shape.rows();
        long width = kv.width();
        Region k = region(Region.K, rows * width * Float.BYTES);
        Region v = region(Region.V, rows * width * Float.BYTES);
        int qWidth = columns(in.q());
        product(normed, in.wq(), rows, 0, false, new Target(in.q().buffer(), 0, qWidth, false));
        product(normed, in.wk(), rows, 0, false, new Target(k, 0, width, false));
        product(normed, in.wv(), rows, 0, false, new Target(v, 0, width, false));
        LaunchArgs args = kvArgs(kv).add(in.q().buffer(), k, v);
        args.add(cache(kv.keys(), layer), cache(kv.values(), layer), frequency);
        args.add(qWidth, ropeDims);
        long blocks = parts(qWidth, 32) + 2 * parts(width, 32);
        launch(
                Unit.of("rope_append"),
                "rope_append",
                tuning.rowLanes(),
                parts(blocks, tuning.rowLanes()),
                rows,
                1,
                args);
    }

    private static Memory.Buffer cache(Tensor half, int layer) {
        return ((DeviceTensor) half).layer(layer);
    }

    /** {@code TABLE_ARGS}, {@code KV_ARGS} */
    private LaunchArgs kvArgs(KvCache kv) {
        LaunchArgs args = new LaunchArgs().add(batch, at.position(), at.table(), at.block(), shape.blocks());
        args.add(kv.keys().type().id(), kv.positionsPerBlock(), (int) kv.width(), kv.headDim());
        return args.add((long) kv.blocks() * kv.positionsPerBlock());
    }

    void attention(DeviceTensor attended, DeviceTensor q, KvCache kv, int layer) {
        int dim = kv.headDim();
        if (dim > MOST_DIM) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED,
                    "attention: heads of " + dim + " values; this backend has room for " + MOST_DIM);
        }
        int heads = columns(q) / dim;
        int kvHeads = (int) (kv.width() / dim);
        int headBlocks = kvHeads * (int) parts(heads / kvHeads, SPLIT_HEADS);
        int splits = (int) parts((long) shape.blocks() * kv.positionsPerBlock(), SPLIT_POSITIONS);
        long rowBytes = (long) splits * heads * (2 + dim) * Float.BYTES;
        int rows = (int) Math.clamp(MOST_PARTIAL_BYTES / rowBytes, 1, shape.rows());
        Region partial = region(Region.PARTIAL, rows * rowBytes);
        float scale = (float) (1.0 / Math.sqrt(dim));
        for (int first = 0; first < shape.rows(); first += rows) {
            int count = Math.min(rows, shape.rows() - first);
            LaunchArgs split = kvArgs(kv).add(q.buffer(), cache(kv.keys(), layer), cache(kv.values(), layer), partial);
            split.add(heads, splits, first, scale);
            launch(ATTENTION, "attention_split", tuning.attentionLanes(), splits, headBlocks, count, split);
            LaunchArgs combine = new LaunchArgs().add(batch, at.position(), partial, attended.buffer());
            combine.add(heads, dim, splits, first);
            launch(ATTENTION, "attention_combine", tuning.rowLanes(), heads, count, 1, combine);
        }
    }

    void attentionOutput(DeviceTensor x, DeviceTensor attended, DeviceTensor output) {
        boolean codes = takesCodes(output);
        PreparedRows in = quantized(attended, !codes, codes);
        product(in, output, shape.rows(), 0, false, new Target(x.buffer(), 0, columns(x), true));
    }

    void route(
            DeviceTensor routing,
            DeviceTensor h,
            DeviceTensor x,
            DeviceTensor norm,
            DeviceTensor router,
            float epsilon) {
        PreparedRows none = prepared(Region.H_VALUES, 0, columns(x), false, false);
        LaunchArgs args =
                new LaunchArgs().rows(batch).add(x.buffer(), norm.whole().buffer());
        args.weight(router, router.whole()).add(router.type().id(), h.buffer(), routing.buffer());
        args.add(columns(routing) / 2, epsilon).out(none);
        launchRows(ROUTE, "route", shape.rows(), args);
        routed = h;
    }

    /** h in the forms that its products need: by the router, if that is the command before, and else by its own. */
    private PreparedRows preparedH(DeviceTensor h, boolean values, boolean codes) {
        if (routed != h) {
            return quantized(h, values, codes);
        }
        PreparedRows rows = prepared(Region.H_VALUES, shape.rows(), columns(h), values, codes);
        Object[] args = ((Launch) commands.getLast()).args();
        Object[] out = new LaunchArgs().out(rows).array();
        System.arraycopy(out, 0, args, args.length - out.length, out.length); // its ROWS_OUT_ARGS come last
        return rows;
    }

    /** The tensors of {@code experts}, checked. */
    record Experts(
            DeviceTensor slots,
            DeviceTensor h,
            DeviceTensor routing,
            DeviceTensor gate,
            DeviceTensor up,
            DeviceTensor down,
            Optional<DeviceTensor> map) {}

    void experts(Experts e) {
        boolean gateCodes = takesCodes(e.gate());
        boolean upCodes = takesCodes(e.up());
        boolean downCodes = takesCodes(e.down());
        PreparedRows h = preparedH(e.h(), !gateCodes || !upCodes, gateCodes || upCodes);
        PairTiles pairs = sort(e);
        long count = (long) shape.rows() * pairs.used();
        PreparedRows gated =
                prepared(Region.GATED_VALUES, count, e.down().shape().columns(), !downCodes, downCodes);
        if (e.gate().type() == e.up().type()) {
            gateUp(e, h, pairs, gated);
        } else {
            gateAndUp(e, h, pairs, gated);
        }
        Target slots = new Target(e.slots().buffer(), 0, columns(e.slots()), false); // the first source
        product(
                new LaunchArgs().rows(batch),
                gated,
                e.down(),
                tileRows(pairs),
                pairs.most(),
                pairs,
                GROUPED_PAIRS,
                slots);
        if (pairs.listed()) { // pairs whose expert is elsewhere are in no tile
            LaunchArgs args =
                    new LaunchArgs().add(batch).tiles(pairs).add(e.slots().buffer(), columns(e.slots()));
            launchRows(ROUTE, "zero_absent", count, args);
        }
    }

    private static int tileRows(PairTiles pairs) {
        return pairs.listed() ? Tuning.TILE_ROWS : 1;
    }

    /** The pairs of a batch, sorted by expert and cut into tiles where there is more than one row. */
    private PairTiles sort(Experts e) {
        int used = columns(e.routing()) / 2;
        int held = (int) e.gate().shape().planes();
        int pairs = shape.rows() * used;
        boolean listed = shape.rows() > 1;
        int most = listed ? (int) Math.min(pairs, parts(pairs, Tuning.TILE_ROWS) + held) : pairs;
        Object map = e.map().<Object>map(DeviceTensor::buffer).orElse(Region.NOTHING);
        int experts = e.map().map(Composer::columns).orElse(held);
        PairTiles tiles =
                new PairTiles(e.routing().buffer(), map, e.map().isPresent(), experts, used, held, listed, most);
        region(Region.TILES, most * 16L);
        region(Region.TILE_COUNT, Integer.BYTES);
        region(Region.PAIRS, (long) pairs * Integer.BYTES);
        if (listed) {
            LaunchArgs args = new LaunchArgs().add(batch).tiles(tiles);
            args.add(Region.TILES, Region.TILE_COUNT, Region.PAIRS, Tuning.TILE_ROWS);
            launchRows(ROUTE, "sort_pairs", 1, args);
        }
        return tiles;
    }

    /** Parts of gate and up are the same ones, as their types and shapes are. */
    private void gateUp(Experts e, PreparedRows h, PairTiles pairs, PreparedRows gated) {
        TensorType type = e.gate().type();
        boolean codes = takesCodes(e.gate());
        for (int i = 0; i < e.gate().parts().size(); i++) {
            DeviceTensor.Part part = e.gate().parts().get(i);
            LaunchArgs args = new LaunchArgs().rows(batch).in(h).weight(e.gate(), part);
            args.weight(e.up(), e.up().parts().get(i)).tiles(pairs).out(gated);
            launch(
                    Unit.of("gate_up", type, codes, tileRows(pairs)),
                    Unit.kernel("gate_up", type, codes, tileRows(pairs)),
                    tuning.productLanes(),
                    pairs.most(),
                    parts(part.rows(), BLOCK_ROWS),
                    1,
                    args);
        }
    }

    private void gateAndUp(Experts e, PreparedRows h, PairTiles pairs, PreparedRows gated) {
        long width = e.gate().shape().rows();
        long count = (long) shape.rows() * pairs.used();
        for (Region which : List.of(Region.GATE, Region.UP)) {
            Target target = new Target(region(which, count * width * Float.BYTES), 0, width, false);
            DeviceTensor weight = which == Region.GATE ? e.gate() : e.up();
            product(
                    new LaunchArgs().rows(batch),
                    h,
                    weight,
                    tileRows(pairs),
                    pairs.most(),
                    pairs,
                    GROUPED_PAIRS_OF_ROWS,
                    target);
        }
        LaunchArgs args = new LaunchArgs().add(batch, Region.GATE, Region.UP, (int) width, pairs.used());
        launchRows(ROUTE, "silu_multiply", count, args.out(gated));
    }

    void topLogits(
            DeviceTensor top,
            DeviceTensor x,
            DeviceTensor norm,
            DeviceTensor output,
            float epsilon,
            int k,
            Optional<DeviceTensor> logits) {
        boolean codes = takesCodes(output);
        int vocabulary = (int) output.shape().rows();
        for (int first = 0; first < shape.wanted(); first += WANTED_CHUNK) {
            int count = Math.min(WANTED_CHUNK, shape.wanted() - first);
            PreparedRows in = prepared(Region.INPUT_VALUES, count, columns(x), !codes, codes);
            LaunchArgs args = new LaunchArgs().wanted(batch, first).add(at.wantedRow() + first);
            args.add(Region.NOTHING, 0L, 0, 0);
            launchRows(NORM, "norm", count, normArgs(args, x, norm, epsilon).out(in));

            Object buffer = logits.<Object>map(DeviceTensor::buffer)
                    .orElse(region(Region.LOGITS, (long) count * vocabulary * Float.BYTES));
            long begin = logits.isPresent() ? (long) first * vocabulary : 0;
            product(in, output, count, first, true, new Target(buffer, begin, vocabulary, false));
            Region keys = region(Region.KEYS, (long) count * vocabulary * Long.BYTES);
            LaunchArgs best = new LaunchArgs().wanted(batch, first).add(at.target(), shape.targets(), at.adjustBegin());
            best.add(at.adjustToken(), at.adjustPenalty(), at.adjustAdd(), at.mask(), shape.maskWords());
            launchRows(
                    Unit.of("top_logits"),
                    "top_logits",
                    count,
                    best.add(buffer, begin, keys, top.buffer(), vocabulary, k));
        }
    }
}
