package io.talaria.placement;

import io.talaria.model.Placement;
import io.talaria.model.Placement.LayerPlace;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** Who computes what, layer by layer, for {@link Simulation}: what a {@link Placement} says, and what none can say yet. */
public record Layout(List<Layer> layers) {
    public Layout {
        layers = List.copyOf(layers);
    }

    /** One layer. The home has its attention, KV cache and router, and adds the experts' results. */
    public sealed interface Layer {
        /** The device where the layer begins and ends. */
        int home();

        /**
         * Whole experts, each on one device or on several; of those the one computes that has less to do.
         *
         * @param holders for each expert its devices
         */
        record Whole(int home, List<List<Integer>> holders) implements Layer {
            public Whole {
                holders = List.copyOf(holders);
            }
        }

        /**
         * Of every expert each device has a part of the FFN's columns.
         *
         * @param parts for each device, together 1
         */
        record Divided(int home, List<Double> parts) implements Layer {}

        /**
         * Attention is divided as well, by heads: every device has a part of it and of every expert, and all add up twice a
         * layer.
         *
         * @param attention for each device, together 1
         * @param parts the same of the experts
         */
        record Tensor(int home, List<Double> attention, List<Double> parts) implements Layer {}

        /** One device computes; it keeps the experts that were used last, and fetches others from the host. */
        record Cached(int home, int kept) implements Layer {}
    }

    /** What a placement says. */
    public static Layout of(Placement placement, int devices) {
        return new Layout(
                placement.layers().stream().map(place -> layer(place, devices)).toList());
    }

    /** The placement that says this, of whole experts each on one device; empty if there is none. */
    public Optional<Placement> placement() {
        List<LayerPlace> places = new ArrayList<>();
        for (Layer layer : layers) {
            if (!(layer instanceof Layer.Whole whole)
                    || whole.holders().stream().anyMatch(holders -> holders.size() != 1)) {
                return Optional.empty();
            }
            places.add(new LayerPlace(
                    whole.home(), whole.holders().stream().map(List::getFirst).toList()));
        }
        return Optional.of(new Placement(places));
    }

    private static Layer layer(LayerPlace place, int devices) {
        if (place.isDivided()) {
            List<Double> parts =
                    IntStream.range(0, devices).mapToObj(place::share).toList();
            if (place.dividesAttention()) {
                List<Double> attention = IntStream.range(0, devices)
                        .mapToObj(place::attentionShare)
                        .toList();
                return new Layer.Tensor(place.home(), attention, parts);
            }
            return new Layer.Divided(place.home(), parts);
        }
        return new Layer.Whole(
                place.home(), place.experts().stream().map(List::of).toList());
    }
}
