package io.talaria.model;

import io.talaria.backend.AttentionWeights;
import io.talaria.backend.Device;
import io.talaria.backend.ExpertWeights;
import io.talaria.backend.KvCache;
import io.talaria.backend.OutputWeights;
import io.talaria.backend.RouterWeights;
import io.talaria.backend.Shape;
import io.talaria.backend.Tensor;
import io.talaria.backend.TensorSource;
import io.talaria.backend.TopLogits;
import io.talaria.model.ModelWeights.LayerWeights;
import io.talaria.model.Placement.LayerPlace;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What one device has of a decoder: weights, KV cache and activations. It owns them, and not the device. */
final class DecoderPart implements AutoCloseable {
    private final int index;
    private final Device device;
    private final ModelConfig config;
    private final DecoderOptions options;
    private final Placement placement;
    private final List<Tensor> owned = new ArrayList<>();

    private Tensor embedding;
    private OutputWeights output;
    private final Map<Integer, AttentionLayer> layers = new HashMap<>();
    private final Map<Integer, ExpertWeights> experts = new HashMap<>();
    private KvCache kv;

    private Tensor x; // [rows][H], the residual stream
    private Tensor h; // [rows][H], normed for router and experts
    private Tensor q; // [rows][N * D]
    private Tensor attended; // [rows][N * D]
    private final List<Tensor> routing = new ArrayList<>(); // [rows][2 * K]: expert ids and weights; one, or per layer
    private final Map<Integer, Tensor> slots = new HashMap<>(); // by sources, [S][rows][K][H]
    private final Map<Integer, Tensor> sums = new HashMap<>(); // by sources, [S][rows][1][H]
    private Tensor part; // [rows][H], its own of them
    private Tensor zeros; // [rows][H]
    private final Map<Integer, Tensor> tops = new HashMap<>(); // by k, [rows][3k + 1]
    private Optional<Tensor> logits = Optional.empty(); // [rows][V]

    /**
     * What a device has of a layer whose attention, or part of it, it computes; {@code kvIndex} is the layer's place in its
     * cache.
     */
    record AttentionLayer(AttentionWeights attention, RouterWeights router, int kvIndex) {}

    DecoderPart(int index, Device device, ModelConfig config, DecoderOptions options, Placement placement) {
        this.index = index;
        this.device = device;
        this.config = config;
        this.options = options;
        this.placement = placement;
    }

    int index() {
        return index;
    }

    Device device() {
        return device;
    }

    /** Loads one weight after the other and says how far it is. */
    @FunctionalInterface
    interface Loader {
        Tensor load(DecoderPart part, TensorSource source) throws IOException;
    }

    void loadEmbedding(ModelWeights weights, Loader loader) throws IOException {
        if (placement.first() == index) {
            embedding = loader.load(this, weights.embedding());
        }
    }

    void loadOutput(ModelWeights weights, Loader loader) throws IOException {
        if (placement.last() != index) {
            return;
        }
        boolean shared = weights.output() == weights.embedding() && embedding != null;
        Tensor product = shared ? embedding : loader.load(this, weights.output());
        output = new OutputWeights(loader.load(this, weights.outputNorm()), product, config.rmsEpsilon());
    }

    void loadLayer(int layer, LayerWeights weights, Loader loader) throws IOException {
        LayerPlace place = placement.layers().get(layer);
        float epsilon = config.rmsEpsilon();
        if (place.attending().contains(index)) {
            // A KV head's rows of query, and columns of the output, are those of all query heads that look at it.
            int first = place.dividesAttention() ? place.firstHead(index) : 0;
            int width = config.queryWidth() / config.kvHeads();
            int rows = kvHeads() * config.headDim();
            AttentionWeights attention = new AttentionWeights(
                    loader.load(this, weights.attentionNorm()),
                    loader.load(this, ExpertRange.rows(weights.query(), first * width, kvHeads() * width)),
                    loader.load(this, ExpertRange.rows(weights.key(), first * config.headDim(), rows)),
                    loader.load(this, ExpertRange.rows(weights.value(), first * config.headDim(), rows)),
                    loader.load(this, ExpertRange.columns(weights.attentionOutput(), first * width, kvHeads() * width)),
                    config.ropeDims(),
                    config.ropeBase(),
                    epsilon);
            RouterWeights router = new RouterWeights(
                    loader.load(this, weights.ffnNorm()), loader.load(this, weights.router()), epsilon);
            layers.put(layer, new AttentionLayer(attention, router, layers.size()));
        }
        if (place.sources().contains(index)) {
            ExpertShare share = ExpertShare.of(weights, place, index);
            experts.put(
                    layer,
                    new ExpertWeights(
                            loader.load(this, share.gate()),
                            loader.load(this, share.up()),
                            loader.load(this, share.down()),
                            share.held().map(this::map)));
        }
    }

    private int kvHeads() {
        return placement.kvHeads(index, config);
    }

    /** For each expert its plane among those held here, or -1. */
    Tensor map(List<Integer> held) {
        Tensor map = alloc("expert map", Tensor.Kind.ACTIVATION, TensorType.I32, Shape.of(config.experts()));
        ByteBuffer planes =
                ByteBuffer.allocateDirect(config.experts() * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int expert = 0; expert < config.experts(); expert++) {
            planes.putInt(held.indexOf(expert));
        }
        device.write(map, 0, planes.flip());
        return map;
    }

    /** The cache and the activations, as far as this device's share of the work needs them. */
    void allocate() {
        boolean home = !layers.isEmpty();
        int rows = options.maxRows();
        if (home) {
            int kvWidth = kvHeads() * config.headDim();
            int queryWidth = config.queryWidth() / config.kvHeads() * kvHeads();
            Shape cache = new Shape(layers.size(), options.kvBlocks(), DecoderOptions.POSITIONS_PER_BLOCK, kvWidth);
            kv = new KvCache(
                    alloc("KV cache, keys", Tensor.Kind.KV, options.kvType(), cache),
                    alloc("KV cache, values", Tensor.Kind.KV, options.kvType(), cache),
                    config.headDim());
            x = floats("x", Shape.of(rows, config.hidden()));
            q = floats("q", Shape.of(rows, queryWidth));
            attended = floats("attended", Shape.of(rows, queryWidth));
        }
        if (home || !experts.isEmpty()) {
            h = floats("h", Shape.of(rows, config.hidden()));
            for (int i = 0; i < (options.keepRouting() ? config.layers() : 1); i++) {
                Shape shape = Shape.of(rows, 2L * config.expertsUsed());
                routing.add(alloc("routing", Tensor.Kind.ACTIVATION, TensorType.I32, shape));
            }
        }
        placement.layers().forEach(this::allocateSlots);
        if (placement.last() == index) {
            top(options.topK());
            if (options.keepLogits()) {
                logits = Optional.of(floats("logits", Shape.of(rows, config.vocabulary())));
            }
        }
    }

    /** What the experts of a layer write here, and what comes from other devices. */
    private void allocateSlots(LayerPlace layer) {
        int sources = layer.sources().size();
        boolean source = layer.sources().contains(index);
        if (layer.dividesAttention() && layer.attending().contains(index)) {
            slots(1);
            slots(sources);
            part();
            sums(sources);
        } else if (layer.home() == index) {
            slots(sources);
            int away = source ? sources - 1 : sources;
            if (layer.isDivided() && away > 0) {
                slots(1);
                sums(away);
            }
        } else if (source) {
            slots(1);
            if (layer.isDivided()) {
                part();
            }
        }
    }

    Tensor embedding() {
        return embedding;
    }

    OutputWeights output() {
        return output;
    }

    AttentionLayer layer(int layer) {
        return layers.get(layer);
    }

    ExpertWeights experts(int layer) {
        return experts.get(layer);
    }

    KvCache kv() {
        return kv;
    }

    Tensor x() {
        return x;
    }

    Tensor h() {
        return h;
    }

    Tensor q() {
        return q;
    }

    Tensor attended() {
        return attended;
    }

    Tensor routing(int layer) {
        return routing.get(options.keepRouting() ? layer : 0);
    }

    /** One result per source, row and chosen expert. */
    Tensor slots(int sources) {
        Shape shape = new Shape(sources, options.maxRows(), config.expertsUsed(), config.hidden());
        return slots.computeIfAbsent(sources, count -> floats("slots", shape));
    }

    /** Parts that are added to x: one for each source and row. */
    Tensor sums(int sources) {
        Shape shape = new Shape(sources, options.maxRows(), 1, config.hidden());
        return sums.computeIfAbsent(sources, count -> floats("parts of x", shape));
    }

    /** This device's own. */
    Tensor part() {
        if (part == null) {
            part = floats("part of x", Shape.of(options.maxRows(), config.hidden()));
            zeros = floats("zeros", Shape.of(options.maxRows(), config.hidden()));
        }
        return part;
    }

    Tensor zeros() {
        return zeros;
    }

    Tensor top(int k) {
        Shape shape = Shape.of(options.maxRows(), TopLogits.words(k, 0));
        return tops.computeIfAbsent(k, words -> alloc("top", Tensor.Kind.ACTIVATION, TensorType.I32, shape));
    }

    Optional<Tensor> logits() {
        return logits;
    }

    private Tensor floats(String label, Shape shape) {
        return alloc(label, Tensor.Kind.ACTIVATION, TensorType.F32, shape);
    }

    private Tensor alloc(String label, Tensor.Kind kind, TensorType type, Shape shape) {
        return own(device.alloc(label, kind, type, shape));
    }

    Tensor own(Tensor tensor) {
        owned.add(tensor);
        return tensor;
    }

    /** Frees everything, unless the device is lost and has nothing to be freed. Closing twice does nothing. */
    @Override
    public void close() {
        if (!device.lost()) {
            owned.forEach(device::free);
        }
        owned.clear();
    }
}
