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
    private final List<Workspace> workspaces = new ArrayList<>();
    private Tensor zeros; // [rows][H]

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

    int kvHeads() {
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

    /**
     * The cache and the activations, as far as this device's share of the work needs them.
     *
     * @param rows of each micro-batch, of which the first has the most
     */
    void allocate(List<Integer> rows) {
        if (attends()) {
            int kvWidth = kvHeads() * config.headDim();
            Shape cache = new Shape(layers.size(), options.kvBlocks(), DecoderOptions.POSITIONS_PER_BLOCK, kvWidth);
            kv = new KvCache(
                    alloc("KV cache, keys", Tensor.Kind.KV, options.kvType(), cache),
                    alloc("KV cache, values", Tensor.Kind.KV, options.kvType(), cache),
                    config.headDim());
        }
        for (int count : rows) {
            workspaces.add(Workspace.allocate(this, count, config, options, placement));
        }
    }

    /** Whether it computes attention, or part of it, in some layer. */
    boolean attends() {
        return !layers.isEmpty();
    }

    boolean hasExperts() {
        return !experts.isEmpty();
    }

    /** For the rows of a micro-batch; the first is for batches that are not divided, too. */
    Workspace workspace(int microBatch) {
        return workspaces.get(microBatch);
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

    /** For all micro-batches, as it is never written. */
    Tensor zeros() {
        if (zeros == null) {
            Shape shape = Shape.of(workspaces.getFirst().rows(), config.hidden());
            zeros = alloc("zeros", Tensor.Kind.ACTIVATION, TensorType.F32, shape);
        }
        return zeros;
    }

    Tensor alloc(String label, Tensor.Kind kind, TensorType type, Shape shape) {
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
