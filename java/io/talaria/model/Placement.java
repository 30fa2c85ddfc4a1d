package io.talaria.model;

import io.talaria.backend.DeviceException;
import io.talaria.model.ModelWeights.LayerWeights;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Which device computes what. Devices are numbered, as in the list that goes with it.
 *
 * <p>The embedding lies where the first layer is, and the output product where the last one is.
 */
public record Placement(List<LayerPlace> layers) {
    /**
     * A layer's place. Either its experts are whole, each of them on one device, or the columns of the FFN are divided, and a
     * device has the same range of them of every expert: rows of gate and up, columns of down.
     *
     * @param home the device that has its attention, its part of the KV cache and its router, and adds the experts' results
     * @param experts for each expert the device that has it; empty if columns are divided
     * @param columns for each device how many columns it has, behind those of the devices before it; empty if experts are
     *     whole
     */
    public record LayerPlace(int home, List<Integer> experts, List<Integer> columns) {
        public LayerPlace {
            experts = List.copyOf(experts);
            columns = List.copyOf(columns);
        }

        /** Whole experts. */
        public LayerPlace(int home, List<Integer> experts) {
            this(home, experts, List.of());
        }

        /** Divided columns. */
        public static LayerPlace divided(int home, List<Integer> columns) {
            return new LayerPlace(home, List.of(), columns);
        }

        /** Whether a device has a part of each expert, and not some of them. */
        public boolean isDivided() {
            return !columns.isEmpty();
        }

        /** The devices that compute experts here, or parts of them, in rising order. */
        public List<Integer> sources() {
            if (!isDivided()) {
                return experts.stream().distinct().sorted().toList();
            }
            return IntStream.range(0, columns.size())
                    .filter(device -> columns.get(device) > 0)
                    .boxed()
                    .toList();
        }

        /** The first of a device's columns. */
        public int firstColumn(int device) {
            return columns.subList(0, device).stream().mapToInt(count -> count).sum();
        }

        /** What part of the experts' weights a device has, 0 to 1. */
        public double share(int device) {
            if (!isDivided()) {
                return (double) held(device).size() / experts.size();
            }
            return (double) columns.get(device) / firstColumn(columns.size());
        }

        /** The whole experts that a device has here, in rising order. */
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

        /** Why it is no place of this layer, in a sentence without its beginning; empty if it is one. */
        public Optional<String> problem(ModelConfig config, LayerWeights weights, int devices) {
            if (home < 0 || home >= devices || experts.stream().anyMatch(device -> device < 0 || device >= devices)) {
                return Optional.of("it names a device that is not among the " + devices + " given");
            }
            if (isDivided() && !experts.isEmpty()) {
                return Optional.of("it has both whole experts and divided columns");
            }
            if (isDivided()) {
                return columnsProblem(config.ffn(), weights, devices);
            }
            return experts.size() == config.experts()
                    ? Optional.empty()
                    : Optional.of("it has " + experts.size() + " experts where the model has " + config.experts());
        }

        private Optional<String> columnsProblem(int ffn, LayerWeights weights, int devices) {
            if (columns.size() != devices || columns.stream().anyMatch(count -> count < 0)) {
                return Optional.of(
                        "it has not a number of columns, 0 or more, for each of the " + devices + " devices");
            }
            long sum = columns.stream().mapToLong(count -> count).sum();
            if (sum != ffn) {
                return Optional.of("it has " + sum + " columns where the experts have " + ffn);
            }
            int block = weights.columnBlock();
            for (int device : sources()) {
                int first = firstColumn(device);
                if (first % block != 0) {
                    return Optional.of("a device's columns begin at " + first + ", within a block of " + block);
                }
            }
            return Optional.empty();
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
    public void check(Model model, int devices) {
        ModelConfig config = model.config();
        if (layers.size() != config.layers()) {
            throw DeviceException.invalid(
                    "the placement has " + layers.size() + " layers where the model has " + config.layers());
        }
        for (int i = 0; i < layers.size(); i++) {
            Optional<String> problem =
                    layers.get(i).problem(config, model.weights().layers().get(i), devices);
            if (problem.isPresent()) {
                throw DeviceException.invalid("the placement's layer " + i + ": " + problem.get());
            }
        }
    }
}
