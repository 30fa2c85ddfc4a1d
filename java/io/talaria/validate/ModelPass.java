package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.DeviceException;
import io.talaria.backend.KvCache;
import io.talaria.backend.Shape;
import io.talaria.backend.TensorSource;
import io.talaria.model.DecoderOptions;
import io.talaria.model.ModelConfig;
import io.talaria.model.ModelWeights.LayerWeights;
import io.talaria.quant.TensorType;
import io.talaria.validate.OpCase.Body;
import io.talaria.validate.OpCase.Judge;
import io.talaria.validate.Verbs.AttentionSources;
import io.talaria.validate.Verbs.ExpertSources;
import io.talaria.validate.Verbs.Routed;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** A prompt and the token after it on their way through a model in one mode, verb by verb on both devices. */
final class ModelPass {
    private static final int TOP = 10;
    private static final int VERBS_PER_LAYER = 6;

    private final ModelConfig config;
    private final Activations mode;
    private final TensorType kvType;
    private final List<Rows> batches;
    private final KvCache expectedKv;
    private final KvCache computedKv;
    private boolean suspected; // of the first wrong expert alone: it takes a while

    /** One batch and its residual stream. */
    private static final class Rows {
        private final String name;
        private final Batch batch;
        private float[] x;

        Rows(String name, Batch batch) {
            this.name = name;
            this.batch = batch;
        }
    }

    /** Both devices with the weights of a part of the model, and who takes the checks of a verb. */
    record Rigs(Rig reference, Rig device, Consumer<List<Check>> sink) {}

    /** @param tokens of the prompt, and the one that comes alone */
    ModelPass(ModelConfig config, Activations mode, TensorType kvType, int[] tokens, Rig reference, Rig device) {
        this.config = config;
        this.mode = mode;
        this.kvType = kvType;
        int last = tokens.length - 1;
        batches = List.of(
                new Rows(last + " tokens", batch(Arrays.copyOf(tokens, last), 0)),
                new Rows("1 token at " + last, batch(new int[] {tokens[last]}, last)));
        Shape cache = new Shape(
                config.layers(), 2L * columns(tokens.length), DecoderOptions.POSITIONS_PER_BLOCK, config.kvWidth());
        expectedKv = reference.cache(kvType, cache, config.headDim());
        computedKv = device.cache(kvType, cache, config.headDim());
    }

    /** How many verbs a pass runs. */
    static int verbs(int layers) {
        return 2 * (VERBS_PER_LAYER * layers + 2);
    }

    private static int columns(int positions) {
        return DecoderOptions.blocksFor(positions);
    }

    /** Tokens at the positions from {@code begin} on, all wanted. Every second block of the cache is used, the last first. */
    private Batch batch(int[] tokens, int begin) {
        int columns = columns(begin + tokens.length);
        Batch batch = new Batch(new BatchShape(tokens.length, tokens.length, 1, columns, 1, 0, 0));
        for (int column = 0; column < columns; column++) {
            batch.setBlock(0, column, 2 * (columns - column) - 1);
        }
        for (int i = 0; i < tokens.length; i++) {
            batch.addWanted(batch.addRow(tokens[i], begin + i, 0));
            batch.setTarget(0, tokens[(i + 1) % tokens.length]);
        }
        return batch;
    }

    void embed(Rigs rigs, TensorSource table) throws IOException {
        for (Rows rows : batches) {
            rows.x = check(
                            rigs,
                            "embed",
                            "",
                            rows,
                            verbs -> verbs.embed(rows.batch, table),
                            (computed, expected) -> List.of(Compare.rows(
                                    "x, " + names(table), computed, expected, config.hidden(), Bounds.FLOAT32)))
                    .value();
        }
    }

    void layer(Rigs rigs, int layer, LayerWeights weights) throws IOException {
        for (Rows rows : batches) {
            attention(rigs, layer, weights, rows);
            experts(rigs, "blk." + layer + " ", weights, rows);
        }
    }

    private void attention(Rigs rigs, int layer, LayerWeights weights, Rows rows) throws IOException {
        String where = "blk." + layer + " ";
        int width = config.queryWidth();
        rows.x = Inputs.settle(rows.x, floats(weights.attentionNorm()), config.rmsEpsilon(), mode);
        OpCase.Result<Appended> input = append(rigs, layer, weights, rows);
        float[] q = input.value().q();
        double read = Bounds.cache(weights.key().type(), weights.value().type(), kvType, mode);
        float[] attended = check(
                        rigs,
                        "attention",
                        where,
                        rows,
                        verbs -> {
                            if (input.unsupported() && !verbs.onReference()) {
                                throw new DeviceException(
                                        DeviceException.Kind.UNSUPPORTED, "the cache is empty, as attentionInput is");
                            }
                            return verbs.attention(rows.batch, q, width, kv(verbs), layer);
                        },
                        (computed, expected) -> List.of(Compare.rows("attended", computed, expected, width, read)))
                .value();
        float[] settled = Inputs.settle(attended, width, mode);
        float[] x = rows.x;
        double bound = Bounds.product(weights.attentionOutput().type(), mode);
        String names = "x, " + names(weights.attentionOutput());
        rows.x = check(
                        rigs,
                        "attentionOutput",
                        where,
                        rows,
                        verbs -> verbs.attentionOutput(rows.batch, x, settled, weights.attentionOutput()),
                        (computed, expected) ->
                                List.of(Compare.added(names, computed, expected, x, 1, config.hidden(), bound)))
                .value();
    }

    private OpCase.Result<Appended> append(Rigs rigs, int layer, LayerWeights weights, Rows rows) throws IOException {
        AttentionSources sources = new AttentionSources(
                weights.attentionNorm(),
                weights.query(),
                weights.key(),
                weights.value(),
                config.ropeDims(),
                config.ropeBase(),
                config.rmsEpsilon());
        int width = config.queryWidth();
        return check(
                rigs,
                "attentionInput",
                "blk." + layer + " ",
                rows,
                verbs -> Appended.read(
                        verbs,
                        verbs.attentionInput(rows.batch, rows.x, sources, kv(verbs), layer),
                        rows.batch,
                        kv(verbs),
                        layer),
                (computed, expected) -> computed.against(
                        expected,
                        width,
                        sources,
                        mode,
                        kvType,
                        List.of(names(weights.query()), names(weights.key()), names(weights.value()))));
    }

    private void experts(Rigs rigs, String where, LayerWeights weights, Rows rows) throws IOException {
        int hidden = config.hidden();
        int used = config.expertsUsed();
        float[] x = rows.x;
        double routing = RouteCases.routing(weights.router().type());
        Routed routed = check(
                        rigs,
                        "route",
                        where,
                        rows,
                        verbs -> verbs.route(
                                rows.batch,
                                x,
                                weights.ffnNorm(),
                                weights.router(),
                                config.rmsEpsilon(),
                                verbs.onReference() ? config.experts() : used),
                        (computed, expected) ->
                                RouteCases.findings(computed, expected, hidden, used, config.experts(), routing))
                .value();
        int[] chosen = CompareRouting.best(routed.routing(), rows.batch.rows(), used);
        float[] h = Inputs.settle(routed.h(), hidden, mode);
        ExpertSources sources = new ExpertSources(weights.gate(), weights.up(), weights.down(), Optional.empty());
        double bound = Bounds.experts(
                weights.gate().type(), weights.up().type(), weights.down().type(), mode);
        OpCase<float[]> made = made(
                "experts",
                where,
                rows,
                verbs -> verbs.experts(rows.batch, h, chosen, sources),
                (computed, expected) -> List.of(Compare.slots(
                        "slots, " + names(weights.gate(), weights.up(), weights.down()),
                        computed,
                        expected,
                        chosen,
                        used,
                        bound)));
        OpCase.Result<float[]> result = made.run(rigs.reference(), rigs.device());
        float[] slots = result.value();
        List<Check> checks = result.checks();
        if (!suspected && result.computed().isPresent() && !checks.getFirst().ok()) {
            suspected = true;
            int slot = Compare.worstRow(result.computed().get(), slots, hidden);
            String suspect =
                    ExpertSuspect.name(rigs.reference(), rigs.device(), mode, rows.batch, h, chosen, slot, weights);
            checks = List.of(checks.getFirst().explained(suspect));
        }
        rigs.sink().accept(checks);
        rows.x = check(
                        rigs,
                        "addSlots",
                        where,
                        rows,
                        verbs -> verbs.addSlots(rows.batch, x, slots, 1, used),
                        (computed, expected) ->
                                List.of(Compare.added("x", computed, expected, x, used, hidden, Bounds.FLOAT32)))
                .value();
    }

    void output(Rigs rigs, TensorSource norm, TensorSource output) throws IOException {
        int k = Math.min(TOP, config.vocabulary());
        double bound = Bounds.product(output.type(), mode);
        for (Rows rows : batches) {
            float[] x = Inputs.settle(rows.x, floats(norm), config.rmsEpsilon(), mode);
            check(
                    rigs,
                    "topLogits",
                    "",
                    rows,
                    verbs -> verbs.topLogits(rows.batch, x, norm, output, config.rmsEpsilon(), k, true),
                    (computed, expected) ->
                            new CompareTop(rows.batch, k, config.vocabulary(), bound).findings(computed, expected));
        }
    }

    private KvCache kv(Verbs verbs) {
        return verbs.onReference() ? expectedKv : computedKv;
    }

    private <T> OpCase.Result<T> check(Rigs rigs, String verb, String where, Rows rows, Body<T> body, Judge<T> judge)
            throws IOException {
        OpCase.Result<T> result = made(verb, where, rows, body, judge).run(rigs.reference(), rigs.device());
        rigs.sink().accept(result.checks());
        return result;
    }

    private <T> OpCase<T> made(String verb, String where, Rows rows, Body<T> body, Judge<T> judge) {
        String modeName = OpCase.modeName(mode);
        return new OpCase<>(
                verb,
                "model: " + verb + ", " + modeName,
                where + verb + " " + modeName + ", " + rows.name,
                mode,
                body,
                judge);
    }

    /** The tensors behind a check, so that a failure names them. */
    private static String names(TensorSource... sources) {
        return String.join(
                " ",
                Arrays.stream(sources)
                        .map(source -> source.name() + " " + source.type())
                        .toList());
    }

    /** An F32 weight. */
    private static float[] floats(TensorSource norm) throws IOException {
        float[] values = new float[Math.toIntExact(norm.shape().elements())];
        ByteBuffer bytes = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        norm.read(0, bytes);
        bytes.clear().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
        return values;
    }
}
