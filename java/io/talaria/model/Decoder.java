package io.talaria.model;

import io.talaria.backend.AttentionWeights;
import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.DecoderOps;
import io.talaria.backend.Device;
import io.talaria.backend.ExpertWeights;
import io.talaria.backend.KvCache;
import io.talaria.backend.OutputWeights;
import io.talaria.backend.RouterWeights;
import io.talaria.backend.Shape;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.backend.TensorSource;
import io.talaria.backend.TopLogits;
import io.talaria.model.ModelWeights.LayerWeights;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A model on a device: its weights, its KV cache, and the forward pass, composed as a step once for each shape of batch.
 *
 * <p>It owns what it allocates on the device, but neither the device nor the model; close it before either. Not for use
 * by several threads at once.
 */
public final class Decoder implements AutoCloseable {
    private final Device device;
    private final ModelConfig config;
    private final DecoderOptions options;
    private final DeviceMemory memory;
    private final Map<StepKey, Step> steps = new HashMap<>();

    private final Tensor embedding;
    private final List<Layer> layers = new ArrayList<>();
    private final OutputWeights output;
    private final KvCache kv;

    private final Tensor x; // [rows][H], the residual stream
    private final Tensor h; // [rows][H], normed for router and experts
    private final Tensor q; // [rows][N * D]
    private final Tensor attended; // [rows][N * D]
    private final List<Tensor> routing; // per layer, or one for all, [rows][2 * K]: expert ids and weights
    private final Tensor slots; // [1][rows][K][H], one result per row and chosen expert
    private final Map<Integer, Tensor> tops = new HashMap<>(); // by k, [rows][3k + 1]
    private final Optional<Tensor> logits; // [rows][V]

    private ByteBuffer received = ByteBuffer.allocateDirect(0);

    /** What a step is composed for. */
    private record StepKey(BatchShape shape, int k, Set<Verb> verbs) {}

    private record Layer(AttentionWeights attention, RouterWeights router, ExpertWeights experts) {}

    private Decoder(Model model, Device device, DeviceMemory memory, DecoderOptions options, LoadProgress progress)
            throws IOException {
        this.device = device;
        this.memory = memory;
        this.config = model.config();
        this.options = options;
        ModelWeights weights = model.weights();
        Loader loader = new Loader(progress, ModelSummary.of(model).weightBytes());
        embedding = loader.load(weights.embedding());
        for (LayerWeights layer : weights.layers()) {
            layers.add(load(layer, loader));
        }
        Tensor outputProduct = weights.output() == weights.embedding() ? embedding : loader.load(weights.output());
        output = new OutputWeights(loader.load(weights.outputNorm()), outputProduct, config.rmsEpsilon());
        model.file().verifyLength();

        Shape cache =
                new Shape(config.layers(), options.kvBlocks(), DecoderOptions.POSITIONS_PER_BLOCK, config.kvWidth());
        kv = new KvCache(
                alloc("KV cache, keys", Tensor.Kind.KV, options.kvType(), cache),
                alloc("KV cache, values", Tensor.Kind.KV, options.kvType(), cache),
                config.headDim());
        int rows = options.maxRows();
        int used = config.expertsUsed();
        x = floats("x", Shape.of(rows, config.hidden()));
        h = floats("h", Shape.of(rows, config.hidden()));
        q = floats("q", Shape.of(rows, config.queryWidth()));
        attended = floats("attended", Shape.of(rows, config.queryWidth()));
        routing = new ArrayList<>();
        for (int i = 0; i < (options.keepRouting() ? config.layers() : 1); i++) {
            routing.add(alloc("routing", Tensor.Kind.ACTIVATION, TensorType.I32, Shape.of(rows, 2L * used)));
        }
        slots = floats("slots", new Shape(1, rows, used, config.hidden()));
        tops.put(options.topK(), newTop(options.topK()));
        logits = options.keepLogits()
                ? Optional.of(floats("logits", Shape.of(rows, config.vocabulary())))
                : Optional.empty();
    }

    /**
     * Loads a model onto a device.
     *
     * @throws IOException if the file cannot be read, or is of a kind that can be looked at but not run
     * @throws io.talaria.backend.DeviceException if the device has no room for it, or does not compute one of its types
     */
    public static Decoder load(Model model, Device device, DecoderOptions options, LoadProgress progress)
            throws IOException {
        model.requireExperts();
        DeviceMemory memory = new DeviceMemory(device);
        try {
            return new Decoder(model, device, memory, options, progress);
        } catch (IOException | RuntimeException e) {
            try (memory) {
                throw e;
            }
        }
    }

    /** What the decoder has allocated, so that a failed load leaves nothing behind. */
    private record DeviceMemory(Device device, List<Tensor> tensors) implements AutoCloseable {
        DeviceMemory(Device device) {
            this(device, new ArrayList<>());
        }

        Tensor own(Tensor tensor) {
            tensors.add(tensor);
            return tensor;
        }

        @Override
        public void close() {
            tensors.forEach(device::free);
            tensors.clear();
        }
    }

    /** Loads one weight after the other and says how far it is. */
    private final class Loader {
        private final LoadProgress progress;
        private final long total;
        private long done;

        Loader(LoadProgress progress, long total) {
            this.progress = progress;
            this.total = total;
        }

        Tensor load(TensorSource source) throws IOException {
            Tensor tensor = memory.own(device.load(source));
            done += tensor.bytes();
            progress.loaded(done, total);
            return tensor;
        }
    }

    private Layer load(LayerWeights layer, Loader loader) throws IOException {
        float epsilon = config.rmsEpsilon();
        AttentionWeights attention = new AttentionWeights(
                loader.load(layer.attentionNorm()),
                loader.load(layer.query()),
                loader.load(layer.key()),
                loader.load(layer.value()),
                loader.load(layer.attentionOutput()),
                config.ropeDims(),
                config.ropeBase(),
                epsilon);
        RouterWeights router = new RouterWeights(loader.load(layer.ffnNorm()), loader.load(layer.router()), epsilon);
        ExpertWeights experts = new ExpertWeights(
                loader.load(layer.gate()), loader.load(layer.up()), loader.load(layer.down()), Optional.empty());
        return new Layer(attention, router, experts);
    }

    private Tensor newTop(int k) {
        Shape shape = Shape.of(options.maxRows(), TopLogits.words(k, 0));
        return alloc("top", Tensor.Kind.ACTIVATION, TensorType.I32, shape);
    }

    private Tensor floats(String label, Shape shape) {
        return alloc(label, Tensor.Kind.ACTIVATION, TensorType.F32, shape);
    }

    private Tensor alloc(String label, Tensor.Kind kind, TensorType type, Shape shape) {
        return memory.own(device.alloc(label, kind, type, shape));
    }

    /** The forward pass. */
    private Step compose(StepKey key) {
        BatchShape shape = key.shape();
        Step step = device.newStep(new StepOptions(options.activations(), shape, options.batchInvariant()));
        try {
            compose(key.verbs().equals(Verb.ALL) ? step : new ChosenVerbs(step, key.verbs()), key);
            step.end();
            return step;
        } catch (RuntimeException e) {
            try (step) {
                throw e;
            }
        }
    }

    private void compose(DecoderOps step, StepKey key) {
        step.embed(x, embedding);
        for (int i = 0; i < layers.size(); i++) {
            Layer layer = layers.get(i);
            step.attentionInput(q, x, layer.attention(), kv, i); // norm, q k v, RoPE, append to the KV cache
            step.attention(attended, q, kv, i); // causal, grouped-query
            step.attentionOutput(x, attended, layer.attention()); // x += Wo · attended
            Tensor chosen = routing.get(options.keepRouting() ? i : 0);
            step.route(chosen, h, x, layer.router()); // h = norm(x); top-k experts and weights per row
            step.experts(slots, h, chosen, layer.experts()); // w · down(silu(gate · h) ⊙ up · h)
            step.addSlots(x, slots); // x += slots, in slot order
        }
        if (key.shape().wanted() > 0) {
            step.topLogits(tops.computeIfAbsent(key.k(), this::newTop), x, output, key.k(), logits);
        }
    }

    /** Queues the forward pass of a batch, of at most {@link DecoderOptions#maxRows} rows. */
    public void run(Batch batch) {
        run(batch, options.topK());
    }

    /** The same for the k best tokens of each wanted row, 1 to 1024 and at most the vocabulary. */
    public void run(Batch batch, int k) {
        device.run(steps.computeIfAbsent(new StepKey(batch.shape(), k, Verb.ALL), this::compose), batch);
    }

    /**
     * Queues some verbs of the forward pass, as often as it has them, for those who measure. They find in the activations
     * and the cache what was left there.
     */
    public void run(Batch batch, Set<Verb> verbs) {
        StepKey key = new StepKey(batch.shape(), options.topK(), Set.copyOf(verbs));
        device.run(steps.computeIfAbsent(key, this::compose), batch);
    }

    /** Waits for all batches so far. */
    public void sync() {
        device.sync();
    }

    /** Waits for the last batch and reads the best tokens of its wanted rows. Valid until the next read. */
    public TopLogits top(int wanted) {
        return top(wanted, options.topK());
    }

    /** The same after a run for the k best. */
    public TopLogits top(int wanted, int k) {
        int words = TopLogits.words(k, 0);
        return new TopLogits(k, 0, read(tops.get(k), Math.multiplyExact(wanted, words * Integer.BYTES)));
    }

    /** Waits for the last batch and reads all logits of its wanted rows, {@code [wanted][V]}. Valid until the next read. */
    public FloatBuffer logits(int wanted) {
        Tensor all = logits.orElseThrow(() -> new IllegalStateException("this decoder keeps no logits"));
        return read(all, Math.multiplyExact(wanted, config.vocabulary() * Float.BYTES))
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
        ByteBuffer bytes = read(routing.get(layer), Math.multiplyExact(rows, 2 * used * Integer.BYTES));
        int[][] chosen = new int[rows][used];
        for (int row = 0; row < rows; row++) {
            bytes.asIntBuffer().get(row * 2 * used, chosen[row]);
        }
        return chosen;
    }

    /** The first bytes of a tensor, in the one buffer that all reads share. */
    private ByteBuffer read(Tensor tensor, int bytes) {
        if (received.capacity() < bytes) {
            received = ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
        }
        device.read(tensor, 0, received.clear().limit(bytes));
        return received.slice().order(ByteOrder.LITTLE_ENDIAN);
    }

    public DecoderOptions options() {
        return options;
    }

    public ModelConfig config() {
        return config;
    }

    /** Frees the weights, the cache and the steps. Closing twice does nothing. */
    @Override
    public void close() {
        steps.values().forEach(Step::close);
        steps.clear();
        memory.close();
    }
}
