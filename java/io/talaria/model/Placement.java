package io.talaria.model;

import io.talaria.backend.DeviceException;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Which device computes what. Devices are numbered, as in the list that goes with it.
 *
 * <p>The embedding lies where the first layer is, and the output product where the last one is.
 */
public record Placement(List<LayerPlace> layers) {
    /**
     * A layer's place.
     *
     * @param home the device that has its attention, its part of the KV cache and its router, and adds the experts' results
     * @param experts for each expert the device that has it
     */
    public record LayerPlace(int home, List<Integer> experts) {
        public LayerPlace {
            experts = List.copyOf(experts);
        }

        /** The experts that a device has here, in rising order. */
        public List<Integer> held(int device) {
            return IntStream.range(0, experts.size())
                    .filter(expert -> experts.get(expert) == device)
                    .boxed()
                    .toList();
        }

        /** A layer that is on one device as a whole. */
        public static LayerPlace whole(int device, int experts) {
            return new LayerPlace(device, Collections.nCopies(experts, device));
        }
    }

    public Placement {
        layers = List.copyOf(layers);
    }

    /** Everything on device 0. */
    public static Placement single(ModelConfig config) {
        return new Placement(Collections.nCopies(config.layers(), LayerPlace.whole(0, config.experts())));
    }

    /** The device of the embedding. */
    public int first() {
        return layers.getFirst().home();
    }

    /** The device of the output product. */
    public int last() {
        return layers.getLast().home();
    }

    /**
     * Refuses a placement that is not of this model or names a device that there is not.
     *
     * @throws DeviceException if it is
     */
    public void check(ModelConfig config, int devices) {
        if (layers.size() != config.layers()) {
            throw DeviceException.invalid(
                    "the placement has " + layers.size() + " layers where the model has " + config.layers());
        }
        for (int i = 0; i < layers.size(); i++) {
            LayerPlace layer = layers.get(i);
            if (layer.experts().size() != config.experts()) {
                throw DeviceException.invalid(
                        "the placement has " + layer.experts().size() + " experts in layer " + i
                                + " where the model has " + config.experts());
            }
            if (!IntStream.concat(
                            IntStream.of(layer.home()), layer.experts().stream().mapToInt(Integer::intValue))
                    .allMatch(device -> device >= 0 && device < devices)) {
                throw DeviceException.invalid(
                        "the placement names a device in layer " + i + " that is not among the " + devices + " given");
            }
        }
    }
}
