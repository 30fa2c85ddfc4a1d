package io.talaria.model;

import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.DecoderOps;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.backend.TensorSource;
import io.talaria.backend.TopLogits;
import io.talaria.model.DecoderPart.HomeLayer;
import io.talaria.model.ModelWeights.LayerWeights;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * A model on a device, or on several: its weights, its KV cache, and the forward pass, composed once for each shape of
 * batch.
 *
 * <p>It owns what it allocates on the devices, but neither them nor the model; close it before either. Not for use by
 * several threads at once.
 */
public final class Decoder implements AutoCloseable {
    private final ModelConfig config;
    private final DecoderOptions options;
    private final Placement placement;
    private final List<DecoderPart> parts;
    private final Map<PassKey, Pass> passes = new HashMap<>();
    private Staging staging = Staging.none();

    private ByteBuffer received = ByteBuffer.allocateDirect(0);

    /**
     * What a forward pass is composed for.
     *
     * @param streamed whether experts that there is {@link Staging} for are computed at home
     */
    private record PassKey(BatchShape shape, int k, Set<Verb> verbs, boolean streamed) {}

    private Decoder(Model model, List<Device> devices, Placement placement, DecoderOptions options) {
        this.config = model.config();
        this.options = options;
        this.placement = placement;
        parts = IntStream.range(0, devices.size())
                .mapToObj(i -> new DecoderPart(i, devices.get(i), config, options, placement))
                .toList();
    }

    /**
     * Loads a model onto a device.
     *
     * @throws IOException if the file cannot be read, or is of a kind that can be looked at but not run
     * @throws io.talaria.backend.DeviceException if the device has no room for it, or does not compute one of its types
     */
    public static Decoder load(Model model, Device device, DecoderOptions options, LoadProgress progress)
            throws IOException {
        return load(model, List.of(device), Placement.single(model.config()), options, progress);
    }

    /**
     * Loads a model onto several devices.
     *
     * @param placement which of them has what
     * @throws IOException if the file cannot be read, or is of a kind that can be looked at but not run
     * @throws io.talaria.backend.DeviceException if a device has no room for its share, or does not compute one of its
     *     types, or the placement is not of this model; what was loaded is freed
     */
    public static Decoder load(
            Model model, List<Device> devices, Placement placement, DecoderOptions options, LoadProgress progress)
            throws IOException {
        model.requireExperts();
        placement.check(model, devices.size());
        Decoder decoder = new Decoder(model, devices, placement, options);
        try {
            decoder.load(model, progress);
            return decoder;
        } catch (IOException | RuntimeException e) {
            try (decoder) {
                throw e;
            }
        }
    }

    private void load(Model model, LoadProgress progress) throws IOException {
        ModelWeights weights = model.weights();
        Loader loader = new Loader(progress, ModelSummary.of(model).weightBytes());
        for (DecoderPart part : parts) {
            part.loadEmbedding(weights, loader);
        }
        for (int i = 0; i < config.layers(); i++) {
            LayerWeights layer = weights.layers().get(i);
            for (DecoderPart part : parts) {
                part.loadLayer(i, layer, loader);
            }
        }
        for (DecoderPart part : parts) {
            part.loadOutput(weights, loader);
        }
        model.file().verifyLength();
        parts.forEach(DecoderPart::allocate);
        if (options.streams(options.maxRows())) {
            staging = Staging.allocate(parts, placement, weights);
        }
    }

    /** Says after each weight how far it is. */
    private static final class Loader implements DecoderPart.Loader {
        private final LoadProgress progress;
        private final long total;
        private long done;

        Loader(LoadProgress progress, long total) {
            this.progress = progress;
            this.total = total;
        }

        @Override
        public Tensor load(DecoderPart part, TensorSource source) throws IOException {
            Tensor tensor = part.own(part.device().load(source));
            done += tensor.bytes();
            progress.loaded(done, Math.max(done, total)); // an embedding that is the output too may lie on two devices
            return tensor;
        }
    }

    /** The forward pass. */
    private Pass compose(PassKey key) {
        StepOptions step = new StepOptions(options.activations(), key.shape(), options.batchInvariant());
        Pass pass = key.streamed()
                ? Pass.carried(step, key.verbs())
                : Pass.over(parts.stream().map(DecoderPart::device).toList(), step, key.verbs());
        try {
            compose(pass, key);
            pass.end();
            return pass;
        } catch (RuntimeException e) {
            try (pass) {
                throw e;
            }
        }
    }

    private void compose(Pass pass, PassKey key) {
        DecoderPart part = parts.get(placement.first());
        on(pass, part).embed(part.x(), part.embedding());
        for (int i = 0; i < config.layers(); i++) {
            DecoderPart home = parts.get(placement.layers().get(i).home());
            if (home != part) {
                Pass.Rows rows = new Pass.Rows(part.x(), home.x(), 0, rowBytes(config.hidden()));
                pass.send(part.device(), home.device(), List.of(rows), false);
            }
            part = home;
            HomeLayer layer = part.layer(i);
            DecoderOps ops = on(pass, part);
            ops.attentionInput(part.q(), part.x(), layer.attention(), part.kv(), layer.kvIndex()); // norm, q k v, RoPE
            ops.attention(part.attended(), part.q(), part.kv(), layer.kvIndex()); // causal, grouped-query
            ops.attentionOutput(part.x(), part.attended(), layer.attention()); // x += Wo · attended
            ops.route(part.routing(i), part.h(), part.x(), layer.router()); // h = norm(x); top-k experts and weights
            Tensor slots = experts(pass, part, i, key.streamed()); // w · down(silu(gate · h) ⊙ up · h)
            on(pass, part).addSlots(part.x(), slots); // x += slots, in slot order
        }
        if (key.shape().wanted() > 0) {
            on(pass, part).topLogits(part.top(key.k()), part.x(), part.output(), key.k(), part.logits());
        }
    }

    /**
     * The experts of a layer, each on the device that has it: h and the routing travel there, every device fills slots of
     * its own, with zeros for experts that are elsewhere, and those come back to the home. All added up, they are the same
     * bits wherever they were computed. Where columns are divided, every device fills all slots with its part of the sum
     * over them, and what they add up to depends on where they are parted, in the last bits.
     *
     * @param streamed whether the home computes what it has {@link Staging} for, instead of the device that has it
     * @return the slots of all sources, at home
     */
    private Tensor experts(Pass pass, DecoderPart home, int layer, boolean streamed) {
        List<DecoderPart> sources =
                placement.layers().get(layer).sources().stream().map(parts::get).toList();
        Tensor slots = home.slots(sources.size());
        List<DecoderPart> away = sources.stream().filter(part -> part != home).toList();
        List<DecoderPart> fetched = away.stream()
                .filter(part -> streamed && staging.has(layer, part.index()))
                .toList();
        for (DecoderPart part : away) {
            if (fetched.contains(part)) {
                continue;
            }
            Pass.Rows h = new Pass.Rows(home.h(), part.h(), 0, rowBytes(config.hidden()));
            long words = rowBytes(2L * config.expertsUsed());
            Pass.Rows routing = new Pass.Rows(home.routing(layer), part.routing(layer), 0, words);
            pass.send(home.device(), part.device(), List.of(h, routing), true);
            on(pass, part).experts(part.slots(1), part.h(), part.routing(layer), part.experts(layer));
        }
        if (sources.contains(home)) {
            on(pass, home).experts(slots, home.h(), home.routing(layer), home.experts(layer));
        }
        // The home writes the first source; the others have the planes behind it.
        int plane = sources.size() - away.size();
        long slotBytes = rowBytes((long) config.expertsUsed() * config.hidden());
        for (DecoderPart part : away) {
            long offset = plane++ * options.maxRows() * slotBytes;
            if (fetched.contains(part)) {
                fetch(pass, home, layer, part, offset);
                continue;
            }
            Pass.Rows rows = new Pass.Rows(part.slots(1), slots, offset, slotBytes);
            pass.send(part.device(), home.device(), List.of(rows), true);
        }
        return slots;
    }

    /** Experts that another device has, fetched and computed at home, into the slots behind so many bytes. */
    private void fetch(Pass pass, DecoderPart home, int layer, DecoderPart holder, long offset) {
        Staging.Fetched fetched = staging.of(layer, holder.index());
        pass.reload(home.device(), fetched.reloads());
        int sources = placement.layers().get(layer).sources().size();
        // Experts write a tensor's first plane; it is the only one if nobody else has any.
        on(pass, home).experts(home.slots(1), home.h(), home.routing(layer), fetched.weights());
        if (sources > 1) {
            long slotBytes = rowBytes((long) config.expertsUsed() * config.hidden());
            on(pass, home).copy(home.slots(sources), offset, home.slots(1), 0, slotBytes);
        }
    }

    private static DecoderOps on(Pass pass, DecoderPart part) {
        return pass.on(part.device());
    }

    private static long rowBytes(long words) {
        return words * Float.BYTES;
    }

    /**
     * Composes the forward pass for batches of a shape beforehand, so that what it takes of the devices' memory is taken.
     *
     * @throws io.talaria.backend.DeviceException if a device has not so much left
     */
    public void prepare(BatchShape shape, int k) {
        pass(shape, k, Verb.ALL, 1);
        pass(shape, k, Verb.ALL, shape.rows());
    }

    /** @param rows of the batch, of which a shape may have more */
    private Pass pass(BatchShape shape, int k, Set<Verb> verbs, int rows) {
        boolean streamed = !staging.isEmpty() && options.streams(rows) && verbs.contains(Verb.EXPERTS);
        return passes.computeIfAbsent(new PassKey(shape, k, verbs, streamed), this::compose);
    }

    /**
     * Queues the forward pass of a batch, of at most {@link DecoderOptions#maxRows} rows. Where it streams experts, it waits
     * for most of it.
     *
     * @throws UncheckedIOException if it streams experts and they cannot be read; the next batch is computed as if this one had
     *     not been, but for the cache at its positions
     */
    public void run(Batch batch) {
        run(batch, options.topK());
    }

    /** The same for the k best tokens of each wanted row, 1 to 1024 and at most the vocabulary. */
    public void run(Batch batch, int k) {
        run(pass(batch.shape(), k, Verb.ALL, batch.rows()), batch);
    }

    /**
     * Queues some verbs of the forward pass, as often as it has them, for those who measure. They find in the activations
     * and the cache what was left there.
     */
    public void run(Batch batch, Set<Verb> verbs) {
        run(pass(batch.shape(), options.topK(), Set.copyOf(verbs), batch.rows()), batch);
    }

    private void run(Pass pass, Batch batch) {
        try {
            pass.run(batch);
        } catch (DeviceException e) {
            throw failed(e);
        } catch (IOException e) {
            throw new UncheckedIOException(e.getMessage(), e);
        }
    }

    /** Waits for all batches so far. */
    public void sync() {
        sync(parts);
    }

    private void sync(List<DecoderPart> some) {
        try {
            some.forEach(part -> part.device().sync());
        } catch (DeviceException e) {
            throw failed(e);
        }
    }

    /**
     * Frees those who wait for the device that has failed, so that they can go on with something else. What was composed is
     * composed anew if it is asked for again.
     *
     * @return the failure behind others, which only say that a device has waited in vain
     */
    private DeviceException failed(DeviceException first) {
        if (parts.size() == 1) {
            return first;
        }
        passes.values().forEach(Pass::abandon);
        DeviceException cause = first;
        for (DecoderPart part : parts) {
            try {
                if (!part.device().lost()) {
                    part.device().sync();
                }
            } catch (DeviceException e) {
                cause = isGraver(e.kind(), cause.kind()) ? e : cause;
            }
        }
        passes.values().forEach(Pass::close);
        passes.clear();
        return cause;
    }

    private static boolean isGraver(DeviceException.Kind kind, DeviceException.Kind than) {
        List<DeviceException.Kind> byWeight = List.of(
                DeviceException.Kind.INVALID,
                DeviceException.Kind.UNSUPPORTED,
                DeviceException.Kind.OUT_OF_MEMORY,
                DeviceException.Kind.LOST);
        return byWeight.indexOf(kind) > byWeight.indexOf(than);
    }

    /** Waits for the last batch and reads the best tokens of its wanted rows. Valid until the next read. */
    public TopLogits top(int wanted) {
        return top(wanted, options.topK());
    }

    /** The same after a run for the k best. */
    public TopLogits top(int wanted, int k) {
        int words = TopLogits.words(k, 0);
        return new TopLogits(k, 0, read(last(), last().top(k), Math.multiplyExact(wanted, words * Integer.BYTES)));
    }

    /** Waits for the last batch and reads all logits of its wanted rows, {@code [wanted][V]}. Valid until the next read. */
    public FloatBuffer logits(int wanted) {
        Tensor all = last().logits().orElseThrow(() -> new IllegalStateException("this decoder keeps no logits"));
        return read(last(), all, Math.multiplyExact(wanted, config.vocabulary() * Float.BYTES))
                .asFloatBuffer();
    }

    /**
     * Waits for the last batch and reads which experts a layer chose for its rows: {@code [rows][K]}, in order of their
     * weights.
     */
    public int[][] experts(int layer, int rows) {
        if (!options.keepRouting()) {
            throw new IllegalStateException("this decoder keeps no routing");
        }
        int used = config.expertsUsed();
        DecoderPart home = parts.get(placement.layers().get(layer).home());
        ByteBuffer bytes = read(home, home.routing(layer), Math.multiplyExact(rows, 2 * used * Integer.BYTES));
        int[][] chosen = new int[rows][used];
        for (int row = 0; row < rows; row++) {
            bytes.asIntBuffer().get(row * 2 * used, chosen[row]);
        }
        return chosen;
    }

    /** The first bytes of a tensor, in the one buffer that all reads share. */
    private ByteBuffer read(DecoderPart part, Tensor tensor, int bytes) {
        if (received.capacity() < bytes) {
            received = ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
        }
        // The others first: whoever has failed says so, while one that waits for it would only wait.
        sync(parts.stream().filter(other -> other != part).toList());
        try {
            part.device().read(tensor, 0, received.clear().limit(bytes));
        } catch (DeviceException e) {
            throw failed(e);
        }
        return received.slice().order(ByteOrder.LITTLE_ENDIAN);
    }

    private DecoderPart last() {
        return parts.get(placement.last());
    }

    public DecoderOptions options() {
        return options;
    }

    public ModelConfig config() {
        return config;
    }

    /** Frees the weights, the caches and the steps. Closing twice does nothing. */
    @Override
    public void close() {
        passes.values().forEach(Pass::close);
        passes.clear();
        parts.forEach(DecoderPart::close);
    }
}
