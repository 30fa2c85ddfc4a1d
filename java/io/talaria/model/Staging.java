package io.talaria.model;

import io.talaria.backend.ExpertWeights;
import io.talaria.backend.Shape;
import io.talaria.backend.Tensor;
import io.talaria.backend.TensorSource;
import io.talaria.model.Placement.LayerPlace;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Room at the layers' homes for the experts that the cpu has, one layer's at a time: for many rows it is faster to fetch them
 * from the file than to have the cpu compute. Layers share it, as far as their types and sizes are the same.
 */
final class Staging {
    private static final String HOST = "cpu";

    private final Map<Held, Fetched> fetched = new HashMap<>();

    /** The experts that a device has of a layer. */
    private record Held(int layer, int holder) {}

    /**
     * A weight of a home that experts are fetched into.
     *
     * @param projection 0 to 2 for gate, up and down, which are there at the same time
     */
    private record Room(int home, int projection, TensorType type, long rows, long columns) {}

    /**
     * Experts that are computed at home once they are there.
     *
     * @param weights in the staging, with a map of their own
     * @param reloads what brings them there
     */
    record Fetched(ExpertWeights weights, List<Reload> reloads) {}

    /** A weight that is overwritten from a source. */
    record Reload(Tensor weight, TensorSource source) {}

    /** What a weight has before anything is fetched. */
    private record Zeros(TensorType type, Shape shape) implements TensorSource {
        @Override
        public String name() {
            return "staging for experts";
        }

        @Override
        public void read(long offset, ByteBuffer target) {
            target.put(new byte[target.remaining()]);
        }
    }

    private Staging() {}

    /** Room for nothing. */
    static Staging none() {
        return new Staging();
    }

    /**
     * Makes room for what a placement leaves to the cpu of layers whose home is another device.
     *
     * @throws IOException never: nothing is read yet
     * @throws io.talaria.backend.DeviceException if a home has no room for it
     */
    static Staging allocate(List<DecoderPart> parts, Placement placement, ModelWeights weights) throws IOException {
        Map<Held, ExpertShare> shares = new LinkedHashMap<>();
        Map<Integer, Long> planes =
                new HashMap<>(); // by home: of the layer with the most, as gate, up and down have as many
        for (int layer = 0; layer < placement.layers().size(); layer++) {
            LayerPlace place = placement.layers().get(layer);
            for (int holder : place.sources()) {
                // Where attention is divided too, all have x, and nobody waits for the cpu alone.
                if (holder != place.home() && !place.dividesAttention() && isHost(parts.get(holder))) {
                    ExpertShare share = ExpertShare.of(weights.layers().get(layer), place, holder);
                    shares.put(new Held(layer, holder), share);
                    planes.merge(place.home(), share.gate().shape().planes(), Math::max);
                }
            }
        }
        Staging staging = new Staging();
        Map<Room, Tensor> rooms = new HashMap<>();
        for (Map.Entry<Held, ExpertShare> entry : shares.entrySet()) {
            int home = placement.layers().get(entry.getKey().layer()).home();
            parts.get(home).workspace(0).slots(1); // what fetched experts write
            Fetched made = fetched(parts.get(home), home, planes.get(home), entry.getValue(), rooms);
            staging.fetched.put(entry.getKey(), made);
        }
        return staging;
    }

    private static boolean isHost(DecoderPart part) {
        return part.device().info().device().startsWith(HOST);
    }

    private static Fetched fetched(DecoderPart part, int home, long planes, ExpertShare share, Map<Room, Tensor> rooms)
            throws IOException {
        List<Reload> reloads = new ArrayList<>();
        for (TensorSource source : share.all()) {
            Shape shape = source.shape();
            Room room = new Room(home, reloads.size(), source.type(), shape.rows(), shape.columns());
            Tensor weight = rooms.get(room);
            if (weight == null) {
                Shape all = Shape.of(planes, shape.rows(), shape.columns());
                weight = part.own(part.device().load(new Zeros(source.type(), all)));
                rooms.put(room, weight);
            }
            reloads.add(new Reload(weight, source));
        }
        ExpertWeights weights = new ExpertWeights(
                reloads.get(0).weight(),
                reloads.get(1).weight(),
                reloads.get(2).weight(),
                share.held().map(part::map));
        return new Fetched(weights, List.copyOf(reloads));
    }

    boolean isEmpty() {
        return fetched.isEmpty();
    }

    /** Whether what a device has of a layer can be fetched to the layer's home. */
    boolean has(int layer, int holder) {
        return fetched.containsKey(new Held(layer, holder));
    }

    Fetched of(int layer, int holder) {
        return fetched.get(new Held(layer, holder));
    }
}
