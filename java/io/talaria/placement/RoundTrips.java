package io.talaria.placement;

import io.talaria.backend.Activations;
import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.Event;
import io.talaria.backend.Shape;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.quant.TensorType;
import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.stream.Stream;

/**
 * Rows that go from one device to another and back, some times one after the other, as in a forward pass: one step on each
 * device, memory that both reach, and events that say when rows are there.
 */
final class RoundTrips implements AutoCloseable {
    private static final int WIDTH = 4096;
    static final int ROW_BYTES = WIDTH * Float.BYTES;

    private final Device home;
    private final Device away;
    private final Device maker;
    private final Batch batch;
    private final Deque<Runnable> made = new ArrayDeque<>(); // what frees it, the last first
    private Step homeStep;
    private Step awayStep;
    private List<Event> events = List.of();

    private RoundTrips(Device home, Device away, int rows) {
        this.home = home;
        this.away = away;
        maker = Stream.of(home, away).max(Comparator.comparing(Device::meeting)).orElseThrow();
        batch = new Batch(new BatchShape(rows, 0, 1, 1, 0, 0, 0));
        for (int row = 0; row < rows; row++) {
            batch.addRow(0, 0, 0);
        }
    }

    /**
     * So many trips of rows of {@link #ROW_BYTES}.
     *
     * @throws DeviceException if a device meets no others, or has no room for the rows
     */
    static RoundTrips compose(Device home, Device away, int rows, int trips) {
        for (Device device : List.of(home, away)) {
            if (device.meeting() == Device.Meeting.NOBODY) {
                throw new DeviceException(
                        DeviceException.Kind.UNSUPPORTED,
                        device.info().device() + " takes no part in a split: there is no link to measure");
            }
        }
        RoundTrips all = new RoundTrips(home, away, rows);
        try {
            all.compose(trips);
            return all;
        } catch (RuntimeException e) {
            try (all) {
                throw e;
            }
        }
    }

    private void compose(int trips) {
        Tensor here = rows(home, Tensor.Kind.ACTIVATION);
        Tensor there = rows(away, Tensor.Kind.ACTIVATION);
        Tensor goingPlace = place(home, away);
        Tensor comingPlace = place(away, home);
        Event gone = event();
        Event come = event();
        events = List.of(gone, come);
        homeStep = step(home);
        awayStep = step(away);
        for (int i = 0; i < trips; i++) {
            send(homeStep, here, goingPlace, gone);
            receive(awayStep, there, goingPlace, gone);
            send(awayStep, there, comingPlace, come);
            receive(homeStep, here, comingPlace, come);
        }
        homeStep.end();
        awayStep.end();
    }

    private static void send(Step step, Tensor rows, Tensor place, Event full) {
        step.copy(place, 0, rows, 0, ROW_BYTES);
        step.signal(full);
    }

    private static void receive(Step step, Tensor rows, Tensor place, Event full) {
        step.await(full);
        step.copy(rows, 0, place, 0, ROW_BYTES);
    }

    /** As in a forward pass: in the receiver's memory where the sender can write there. */
    private Tensor place(Device from, Device to) {
        return from.reaches(to) ? rows(to, Tensor.Kind.PEER) : rows(maker, Tensor.Kind.HOST);
    }

    private Tensor rows(Device device, Tensor.Kind kind) {
        Shape shape = Shape.of(batch.shape().rows(), WIDTH);
        Tensor tensor = device.alloc("rows on their way", kind, TensorType.F32, shape);
        made.push(() -> device.free(tensor));
        return tensor;
    }

    private Event event() {
        Event event = maker.newEvent();
        made.push(event::close);
        return event;
    }

    private Step step(Device device) {
        Step step = device.newStep(new StepOptions(Activations.HALF, batch.shape()));
        made.push(step::close);
        return step;
    }

    /** Makes all trips, and waits until the rows are back. */
    void run() {
        try {
            home.run(homeStep, batch);
            away.run(awayStep, batch);
            home.sync();
            away.sync();
        } catch (DeviceException e) {
            events.forEach(Event::abandon); // or the other device would wait for long
            throw e;
        }
    }

    @Override
    public void close() {
        made.forEach(Runnable::run);
    }
}
