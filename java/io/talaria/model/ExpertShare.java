package io.talaria.model;

import io.talaria.backend.TensorSource;
import io.talaria.model.ModelWeights.LayerWeights;
import io.talaria.model.Placement.LayerPlace;
import java.util.List;
import java.util.Optional;

/**
 * What a placement gives a device of a layer's experts, and where it lies in the file.
 *
 * @param gate {@code [L][F][H]}, with fewer rows if columns are divided
 * @param up {@code [L][F][H]}, as gate
 * @param down {@code [L][H][F]}, with fewer columns then
 * @param held the expert of each plane; empty if these are all, in their order
 */
record ExpertShare(TensorSource gate, TensorSource up, TensorSource down, Optional<List<Integer>> held) {
    /** @param device one of the place's sources */
    static ExpertShare of(LayerWeights weights, LayerPlace place, int device) {
        if (place.isDivided()) {
            int first = place.firstColumn(device);
            int count = place.columns().get(device);
            return new ExpertShare(
                    ExpertRange.rows(weights.gate(), first, count),
                    ExpertRange.rows(weights.up(), first, count),
                    ExpertRange.columns(weights.down(), first, count),
                    Optional.empty());
        }
        List<Integer> held = place.held(device);
        return new ExpertShare(
                HeldExperts.of(weights.gate(), held),
                HeldExperts.of(weights.up(), held),
                HeldExperts.of(weights.down(), held),
                held.size() == place.experts().size() ? Optional.empty() : Optional.of(held));
    }

    /** Gate, up and down. */
    List<TensorSource> all() {
        return List.of(gate, up, down);
    }
}
