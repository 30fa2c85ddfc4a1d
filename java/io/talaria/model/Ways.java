package io.talaria.model;

import io.talaria.backend.Device;
import io.talaria.backend.Event;
import io.talaria.backend.Shape;
import io.talaria.backend.Tensor;
import io.talaria.model.Pass.Rows;
import io.talaria.model.Pass.Trip;
import io.talaria.quant.TensorType;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The ways of a pass's rows between devices, each with memory and events of its own, that are the same for all trips of one
 * kind. Rows lie in the receiver's memory while they travel if the sender reaches that, else in the host's.
 *
 * <p>Where devices have couriers, these do the copying that takes long: the sender copies rows to a place of its own, its
 * courier takes them to the receiver's memory, or to the host's, from where the receiver's courier takes them on.
 */
final class Ways {
    private final Device maker;
    private final Map<Device, Device> couriers;
    private final int rows;
    private final Map<Route, Way> ways = new HashMap<>();
    private final Map<Tensor, Device> places = new IdentityHashMap<>(); // and who made them
    private final List<Event> events = new ArrayList<>();

    private record Route(int microBatch, String what, Device from, Device to) {}

    /**
     * Where rows lie on their way.
     *
     * @param by who copies them there: the sender, or a courier
     * @param places for each of the trip's rows one
     * @param full signalled when they are there
     */
    record Stop(Device by, List<Tensor> places, Event full) {}

    /**
     * What rows travel through.
     *
     * @param stops in their order, the sender's first
     * @param free signalled when the receiver has taken them; empty if an answer says so
     */
    record Way(List<Stop> stops, Optional<Event> free) {}

    /**
     * @param devices all that take part
     * @param couriers of those devices that are to leave copying to one
     * @param rows at most, of a batch
     */
    Ways(List<Device> devices, Map<Device, Device> couriers, int rows) {
        maker = devices.stream().max(Comparator.comparing(Device::meeting)).orElseThrow();
        this.couriers = couriers;
        this.rows = rows;
    }

    Way of(int microBatch, Trip trip) {
        Route route = new Route(microBatch, trip.what(), trip.from(), trip.to());
        Way known = ways.get(route);
        if (known != null) {
            return known;
        }
        Way made = new Way(stops(trip), trip.answered() ? Optional.empty() : Optional.of(event()));
        ways.put(route, made);
        made.free().ifPresent(Event::signal);
        return made;
    }

    private List<Stop> stops(Trip trip) {
        List<Stop> stops = new ArrayList<>();
        Device carrier = trip.from();
        if (couriers.containsKey(carrier)) {
            stops.add(stop(trip, carrier, Optional.of(carrier)));
            carrier = couriers.get(carrier);
        }
        if (carrier.reaches(trip.to())) {
            stops.add(stop(trip, carrier, Optional.of(trip.to())));
            return stops;
        }
        stops.add(stop(trip, carrier, Optional.empty()));
        if (couriers.containsKey(trip.to())) {
            stops.add(stop(trip, couriers.get(trip.to()), Optional.of(trip.to())));
        }
        return stops;
    }

    /** @param at in whose memory; empty for the host's */
    private Stop stop(Trip trip, Device by, Optional<Device> at) {
        List<Tensor> all = new ArrayList<>();
        Device owner = at.orElse(maker);
        for (Rows each : trip.rows()) {
            Shape shape = Shape.of(rows, each.rowBytes() / Float.BYTES);
            Tensor.Kind kind = at.isPresent() ? Tensor.Kind.PEER : Tensor.Kind.HOST;
            Tensor place = owner.alloc(trip.what(), kind, TensorType.F32, shape);
            places.put(place, owner);
            all.add(place);
        }
        return new Stop(by, all, event());
    }

    private Event event() {
        Event event = maker.newEvent();
        events.add(event);
        return event;
    }

    /** Frees devices that wait for one which has failed. */
    void abandon() {
        events.forEach(Event::abandon);
    }

    /** What frees all of it, each by itself. Afterwards there are no ways. */
    List<Runnable> frees() {
        List<Runnable> all = new ArrayList<>();
        events.forEach(event -> all.add(event::close));
        places.forEach((place, owner) -> all.add(() -> owner.free(place)));
        events.clear();
        places.clear();
        ways.clear();
        return all;
    }
}
