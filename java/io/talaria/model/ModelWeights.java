package io.talaria.model;

import io.talaria.backend.Activations;
import io.talaria.backend.TensorSource;
import java.util.ArrayList;
import java.util.List;

/**
 * Where a model's weights lie.
 *
 * @param embedding {@code [V][H]}
 * @param outputNorm {@code [H]}
 * @param output {@code [V][H]}; the embedding itself where the file has no other
 */
public record ModelWeights(
        ExpertLayout layout,
        TensorSource embedding,
        List<LayerWeights> layers,
        TensorSource outputNorm,
        TensorSource output) {

    /**
     * One layer.
     *
     * @param attentionNorm {@code [H]}
     * @param query {@code [N * D][H]}
     * @param key {@code [G * D][H]}
     * @param value {@code [G * D][H]}
     * @param attentionOutput {@code [H][N * D]}
     * @param ffnNorm {@code [H]}
     * @param router {@code [E][H]}; null in a dense model
     * @param gate {@code [E][F][H]}; one plane in a dense model
     * @param up {@code [E][F][H]}
     * @param down {@code [E][H][F]}
     */
    public record LayerWeights(
            TensorSource attentionNorm,
            TensorSource query,
            TensorSource key,
            TensorSource value,
            TensorSource attentionOutput,
            TensorSource ffnNorm,
            TensorSource router,
            TensorSource gate,
            TensorSource up,
            TensorSource down) {
        /** Gate, up and down, which tokens read in part. */
        public List<TensorSource> experts() {
            return List.of(gate, up, down);
        }

        /**
         * How many columns of the FFN cannot be parted: a block of down, whose columns they are, and of activations in int8.
         */
        public int columnBlock() {
            return Math.max(Activations.INT8.block(), down.type().blockElements());
        }

        /** The same of the attention's output, whose columns are the heads' values. */
        public int headBlock() {
            return Math.max(Activations.INT8.block(), attentionOutput.type().blockElements());
        }

        /** All but the experts, which every token reads. */
        public List<TensorSource> shared() {
            List<TensorSource> shared =
                    new ArrayList<>(List.of(attentionNorm, query, key, value, attentionOutput, ffnNorm));
            if (router != null) {
                shared.add(router);
            }
            return shared;
        }
    }

    /** Every weight once. */
    List<TensorSource> all() {
        List<TensorSource> all = new ArrayList<>();
        all.add(embedding);
        for (LayerWeights layer : layers) {
            all.addAll(layer.shared());
            all.addAll(layer.experts());
        }
        all.add(outputNorm);
        if (output != embedding) {
            all.add(output);
        }
        return all;
    }
}
