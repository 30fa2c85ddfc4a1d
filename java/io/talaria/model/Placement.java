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
     * @param kvHeads for each device how many KV heads it has, behind those of the devices before it, with the query heads
     *     that look at them and their part of the cache; each of those devices has the whole router. Empty if attention is
     *     the home's alone
     */
    public record LayerPlace(int home, List<Integer> experts, List<Integer> columns, List<Integer> kvHeads) {
        public LayerPlace {
            experts = List.copyOf(experts);
            columns = List.copyOf(columns);
            kvHeads = List.copyOf(kvHeads);
        }

        /** Whole experts. */
        public LayerPlace(int home, List<Integer> experts) {
            this(home, experts, List.of(), List.of());
        }

        /** Divided columns. */
        public static LayerPlace divided(int home, List<Integer> columns) {
            return new LayerPlace(home, List.of(), columns, List.of());
        }

        /** Divided columns and heads. */
        public static LayerPlace tensor(int home, List<Integer> columns, List<Integer> kvHeads) {
            return new LayerPlace(home, List.of(), columns, kvHeads);
        }

        /** Whether devices have a part of attention as well. */
        public boolean dividesAttention() {
            return !kvHeads.isEmpty();
        }

        /** The devices that compute attention here, or parts of it, in rising order. */
        public List<Integer> attending() {
            return dividesAttention() ? withSome(kvHeads) : List.of(home);
        }

        private static List<Integer> withSome(List<Integer> counts) {
            return IntStream.range(0, counts.size())
                    .filter(device -> counts.get(device) > 0)
                    .boxed()
                    .toList();
        }

        /** The first of a device's KV heads. */
        public int firstHead(int device) {
            return kvHeads.subList(0, device).stream().mapToInt(count -> count).sum();
        }

        /** What part of attention a device has, 0 to 1. */
        public double attentionShare(int device) {
            if (!dividesAttention()) {
                return device == home ? 1 : 0;
            }
            return (double) kvHeads.get(device) / firstHead(kvHeads.size());
        }

        /** Whether a device has a part of each expert, and not some of them. */
        public boolean isDivided() {
            return !columns.isEmpty();
        }

        /** Whether a device has all of the layer. */
        boolean isAt(int device) {
            return attending().equals(List.of(device)) && sources().equals(List.of(device));
        }

        /** The devices that compute experts here, or parts of them, in rising order. */
        public List<Integer> sources() {
            if (!isDivided()) {
                return experts.stream().distinct().sorted().toList();
            }
            return withSome(columns);
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
                return columnsProblem(config.ffn(), weights, devices).or(() -> headsProblem(config, weights, devices));
            }
            if (dividesAttention()) {
                return Optional.of("it divides attention, and so has to divide the experts' columns too");
            }
            return experts.size() == config.experts()
                    ? Optional.empty()
                    : Optional.of("it has " + experts.size() + " experts where the model has " + config.experts());
        }

        private Optional<String> headsProblem(ModelConfig config, LayerWeights weights, int devices) {
            if (!dividesAttention()) {
                return Optional.empty();
            }
            if (kvHeads.size() != devices || kvHeads.stream().anyMatch(count -> count < 0)) {
                return Optional.of(
                        "it has not a number of KV heads, 0 or more, for each of the " + devices + " devices");
            }
            long sum = kvHeads.stream().mapToLong(count -> count).sum();
            if (sum != config.kvHeads()) {
                return Optional.of("it has " + sum + " KV heads where the model has " + config.kvHeads());
            }
            if (!attending().equals(sources()) || !attending().contains(home)) {
                return Optional.of(
                        "a device has KV heads where it has no columns, or the other way, or the home has none");
            }
            int width = config.queryWidth() / config.kvHeads(); // of what a KV head's queries give
            int block = weights.headBlock();
            for (int device : attending()) {
                if (firstHead(device) * width % block != 0) {
                    return Optional.of("a device's KV heads begin within a block of the attention's output");
                }
            }
            return Optional.empty();
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

    /** How many KV heads a device has in each layer whose attention it computes; 0 if there is none. */
    int kvHeads(int device, ModelConfig config) {
        return layers.stream()
                .filter(layer -> layer.attending().contains(device))
                .mapToInt(layer -> layer.dividesAttention() ? layer.kvHeads().get(device) : config.kvHeads())
                .findFirst()
                .orElse(0);
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
            requireHeadsAsBefore(config, i);
        }
    }

    /** A device has one cache, whose rows are as wide in all layers. */
    private void requireHeadsAsBefore(ModelConfig config, int layer) {
        LayerPlace place = layers.get(layer);
        for (int device : place.attending()) {
            int heads = place.dividesAttention() ? place.kvHeads().get(device) : config.kvHeads();
            if (heads != kvHeads(device, config)) {
                throw DeviceException.invalid("the placement's layer " + layer + ": device " + device + " has " + heads
                        + " KV heads where it has " + kvHeads(device, config)
                        + " in layers before; a device has as many in each layer whose attention it computes");
            }
        }
    }
}
