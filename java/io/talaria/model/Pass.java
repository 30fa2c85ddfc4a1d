package io.talaria.model;

import io.talaria.backend.Batch;
import io.talaria.backend.DecoderOps;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.model.Staging.Reload;
import io.talaria.model.Ways.Stop;
import io.talaria.model.Ways.Way;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A forward pass over one device or several, composed once and run often: one step for each device, all under way at the same
 * time. Rows travel by {@link Ways}, and events say when they are there: nobody comes back to the host between, but for weights
 * that are overwritten, where the device's step is cut and the caller waits for it.
 *
 * <p>A pass of two micro-batches has two of everything but the weights and the cache. A device's step is cut wherever it would
 * wait, and the steps of the two are queued in turns: while rows of one travel, or are computed on another device, this one
 * computes the other. The order in which steps begin is that of composing, and the n-th steps of both come before the next of
 * either. So what a step waits for is always queued before it, and devices never wait for each other in a circle.
 */
final class Pass implements AutoCloseable {
    private final StepOptions options;
    private final Set<Verb> verbs;
    private final List<List<Part>> composed = new ArrayList<>(); // of each micro-batch
    private final List<Part> parts = new ArrayList<>(); // of all, as they are queued
    private final Map<Device, Step> open = new HashMap<>();
    private final Ways ways;
    private final int microBatches;
    private int microBatch;

    /** In the order in which they begin: what is composed before a part is in those before it. */
    private sealed interface Part {}

    private record Run(int microBatch, Device device, Step step) implements Part {}

    private record Reloading(Device device, List<Reload> reloads) implements Part {}

    /**
     * Rows of the batch that travel.
     *
     * @param source from its beginning
     * @param target behind so many bytes
     */
    record Rows(Tensor source, Tensor target, long targetOffset, long rowBytes) {}

    /**
     * Rows from one device to another, once it is that far.
     *
     * @param what they are: trips of one kind between two devices have the same rows, and in a micro-batch use the same memory
     * @param answered whether rows that the other sends back, before these are sent again, depend on them
     */
    record Trip(String what, Device from, Device to, List<Rows> rows, boolean answered) {}

    /**
     * @param ways between all that take part
     * @param options of each micro-batch
     * @param microBatches 1, or 2 if no weights are overwritten
     */
    Pass(Ways ways, StepOptions options, Set<Verb> verbs, int microBatches) {
        this.options = options;
        this.verbs = verbs;
        this.microBatches = microBatches;
        this.ways = ways;
    }

    /** Begins composing for a micro-batch: the first, or once that is complete the same for the second. */
    void begin(int which) {
        endSteps();
        composed.add(new ArrayList<>());
        microBatch = which;
    }

    /** Composes what comes next on a device. */
    DecoderOps on(Device device) {
        Step step = step(device);
        return verbs.equals(Verb.ALL) ? step : new ChosenVerbs(step, verbs);
    }

    private Step step(Device device) {
        return open.computeIfAbsent(device, one -> {
            Step step = one.newStep(options);
            composed.get(microBatch).add(new Run(microBatch, one, step));
            return step;
        });
    }

    /** Ends a device's step where it would wait, so that one of the other micro-batch can come between. */
    private void cut(Device device) {
        if (microBatches > 1) {
            Optional.ofNullable(open.remove(device)).ifPresent(Step::end);
        }
    }

    /** Has weights of a device overwritten, once it is that far, and before what comes next there. */
    void reload(Device device, List<Reload> reloads) {
        Optional.ofNullable(open.remove(device)).ifPresent(Step::end);
        composed.get(microBatch).add(new Reloading(device, reloads));
    }

    /**
     * All set out before the first arrives, so that two devices can exchange rows at the same time; so do those that couriers
     * carry, from all first stops before any second.
     */
    void travel(List<Trip> trips) {
        trips.forEach(this::depart);
        int stops = trips.stream()
                .mapToInt(trip -> ways.of(microBatch, trip).stops().size())
                .max()
                .orElse(0);
        for (int stop = 1; stop < stops; stop++) {
            carry(trips, stop);
        }
        trips.stream().map(Trip::to).distinct().forEach(this::cut);
        trips.forEach(this::arrive);
    }

    private void depart(Trip trip) {
        Way way = ways.of(microBatch, trip);
        if (way.free().isPresent()) {
            cut(trip.from());
        }
        Step sender = step(trip.from());
        way.free().ifPresent(sender::await);
        Stop first = way.stops().getFirst();
        for (int i = 0; i < trip.rows().size(); i++) {
            Rows rows = trip.rows().get(i);
            sender.copy(first.places().get(i), 0, rows.source(), 0, rows.rowBytes());
        }
        sender.signal(first.full());
    }

    /** Couriers take rows on to a stop, each all of its own in one step. */
    private void carry(List<Trip> trips, int stop) {
        Set<Device> begun = new HashSet<>();
        for (Trip trip : trips) {
            List<Stop> stops = ways.of(microBatch, trip).stops();
            if (stop < stops.size()) {
                Stop to = stops.get(stop);
                if (begun.add(to.by())) {
                    cut(to.by());
                }
                carry(trip, stops.get(stop - 1), to);
            }
        }
    }

    private void carry(Trip trip, Stop from, Stop to) {
        Step courier = step(to.by());
        courier.await(from.full());
        for (int i = 0; i < trip.rows().size(); i++) {
            courier.copy(
                    to.places().get(i),
                    0,
                    from.places().get(i),
                    0,
                    trip.rows().get(i).rowBytes());
        }
        courier.signal(to.full());
    }

    private void arrive(Trip trip) {
        Way way = ways.of(microBatch, trip);
        Stop last = way.stops().getLast();
        Step receiver = step(trip.to());
        receiver.await(last.full());
        for (int i = 0; i < trip.rows().size(); i++) {
            Rows rows = trip.rows().get(i);
            receiver.copy(rows.target(), rows.targetOffset(), last.places().get(i), 0, rows.rowBytes());
        }
        way.free().ifPresent(receiver::signal);
    }

    /** Whether weights are overwritten in it. */
    boolean reloads() {
        return parts.stream().anyMatch(Reloading.class::isInstance);
    }

    boolean isDivided() {
        return microBatches > 1;
    }

    /** Ends composing. */
    void end() {
        endSteps();
        for (int i = 0; i < composed.getFirst().size(); i++) { // the other micro-batch has as many, of the same devices
            for (List<Part> each : composed) {
                parts.add(each.get(i));
            }
        }
    }

    private void endSteps() {
        open.values().forEach(Step::end);
        open.clear();
    }

    /**
     * Queues it, and where weights are overwritten waits for what is before.
     *
     * @throws IOException if they cannot be read
     */
    void run(Batch batch) throws IOException {
        List<Batch> batches = MicroBatches.of(batch, microBatches, options.batch());
        for (Part part : parts) {
            switch (part) {
                case Run run -> run.device().run(run.step(), batches.get(run.microBatch()));
                case Reloading reloading -> {
                    for (Reload reload : reloading.reloads()) {
                        reloading.device().reload(reload.weight(), reload.source());
                    }
                }
            }
        }
    }

    /** Frees devices that wait for one which has failed. The pass does not run again. */
    void abandon() {
        ways.abandon();
    }

    @Override
    public void close() {
        List<Runnable> all = new ArrayList<>();
        for (List<Part> each : composed) {
            for (Part part : each) {
                if (part instanceof Run run && !run.device().lost()) {
                    all.add(run.step()::close);
                }
            }
        }
        all.addAll(ways.frees());
        composed.clear();
        parts.clear();
        freeAll(all);
    }

    /** Whatever one of them says. */
    private static void freeAll(List<Runnable> all) {
        DeviceException failure = null;
        for (Runnable each : all) {
            try {
                each.run();
            } catch (DeviceException e) {
                failure = e;
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
