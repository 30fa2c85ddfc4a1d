package io.talaria.placement;

import io.talaria.backend.TensorSource;
import io.talaria.model.Model;
import io.talaria.model.ModelConfig;
import io.talaria.model.ModelWeights.LayerWeights;
import io.talaria.quant.TensorType;
import java.util.List;

/**
 * What a model gives its devices to do, in bytes to read and operations to compute.
 *
 * @param layers in their order
 * @param endBytes of the last norm, the output product and one row of the embedding, which every token reads
 * @param storedEndBytes of the same with the whole embedding, which has to lie somewhere
 * @param hiddenBytes of a row that travels: H values in F32
 * @param expertsUsed K
 */
public record ModelWork(
        List<LayerWork> layers, double endBytes, double storedEndBytes, double hiddenBytes, int expertsUsed) {
    /**
     * One layer, for one token.
     *
     * @param sharedBytes attention, norms and router
     * @param expertBytes gate, up and down of one expert
     * @param kvBytes of keys and values of one position
     * @param sharedFlops a multiplication and an addition for each shared weight
     * @param expertFlops the same for one expert
     * @param scoreFlops of attention, for each position that a token looks at
     */
    public record LayerWork(
            double sharedBytes,
            double expertBytes,
            double kvBytes,
            double sharedFlops,
            double expertFlops,
            double scoreFlops) {}

    /** The work of a model whose KV cache has a type. */
    public static ModelWork of(Model model, TensorType kvType) {
        ModelConfig config = model.config();
        double kvBytes = 2.0 * kvType.bytes(config.kvWidth());
        double scoreFlops = 4.0 * config.queryWidth(); // q · k, and its product with v
        List<LayerWork> layers = model.weights().layers().stream()
                .map(layer -> layer(layer, config.experts(), kvBytes, scoreFlops))
                .toList();
        double embedding = bytes(List.of(model.weights().embedding()));
        double output =
                bytes(List.of(model.weights().outputNorm(), model.weights().output()));
        double stored = model.weights().output() == model.weights().embedding() ? output : output + embedding;
        return new ModelWork(
                layers,
                output + embedding / config.vocabulary(),
                stored,
                (double) config.hidden() * Float.BYTES,
                config.expertsUsed());
    }

    private static LayerWork layer(LayerWeights layer, int experts, double kvBytes, double scoreFlops) {
        return new LayerWork(
                bytes(layer.shared()),
                bytes(layer.experts()) / experts,
                kvBytes,
                2 * elements(layer.shared()),
                2 * elements(layer.experts()) / experts,
                scoreFlops);
    }

    private static double bytes(List<TensorSource> sources) {
        return sources.stream()
                .mapToLong(source -> source.type().bytes(source.shape().elements()))
                .sum();
    }

    private static double elements(List<TensorSource> sources) {
        return sources.stream().mapToLong(source -> source.shape().elements()).sum();
    }

    /** Bytes of one expert in all layers. */
    double expertBytes() {
        return layers.stream().mapToDouble(LayerWork::expertBytes).sum();
    }

    /** Bytes that the home has to have besides experts, with a KV cache of so many positions. */
    double homeBytes(double kvPositions) {
        return storedEndBytes
                + layers.stream()
                        .mapToDouble(layer -> layer.sharedBytes() + kvPositions * layer.kvBytes())
                        .sum();
    }
}
