package io.talaria.placement;

import io.talaria.backend.Activations;
import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.Device;
import io.talaria.backend.Shape;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.quant.TensorType;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** Measures what the exchanges and steps of a forward pass take on two devices that are here. */
public final class LinkProbe {
    /** Bytes of a row that travels in decoding, and of many of a prompt. */
    private static final int SMALL = 16 << 10;

    private static final int LARGE = 8 << 20;
    /** In one step: enough that to queue it and to wait for it hardly count. */
    private static final int SMALL_TRIPS = 32;

    private static final int LARGE_TRIPS = 4;
    private static final int REPETITIONS = 100;
    private static final int WARM_UP = 5;
    private static final long ENOUGH_NANOSECONDS = 1_000_000_000L;
    private static final int WIDTH = 4096;

    /**
     * What was measured.
     *
     * @param trips there and back, for the two sizes
     * @param link what follows from them
     * @param stepMicroseconds to run a step of one small verb and wait for it, the mean of the two devices
     */
    public record Result(List<Trip> trips, Link link, double stepMicroseconds) {}

    /** Rows there and back, in the mean of the trips of a step. */
    public record Trip(int bytes, double microseconds) {
        /** In each direction, 10^9 bytes. */
        public double gigabytesPerSecond() {
            return 2 * bytes / (microseconds * 1e3);
        }
    }

    private LinkProbe() {}

    /**
     * Medians of {@value #REPETITIONS} repetitions, or of as many as a second has.
     *
     * @throws io.talaria.backend.DeviceException if a device meets no others, or has no room for 8 MB
     */
    public static Result measure(Device home, Device away) {
        Trip small = trip(home, away, SMALL, SMALL_TRIPS);
        Trip large = trip(home, away, LARGE, LARGE_TRIPS);
        // One way: time = fixed + bytes / speed, and two of each are known.
        double perByte = Math.max(large.microseconds() - small.microseconds(), 1e-3) / 2 / (LARGE - SMALL);
        double fixed = Math.max(0, small.microseconds() / 2 - perByte * SMALL);
        String devices = home.info().device() + "," + away.info().device();
        Link link = new Link(
                "measured " + devices,
                1e-3 / perByte,
                fixed,
                String.format(
                        Locale.ROOT,
                        "measured between %s %s: 16 KB there and back in %.1f us, 8 MB in %.0f us",
                        devices,
                        home.reaches(away) && away.reaches(home) ? "by peer access" : "through host memory",
                        small.microseconds(),
                        large.microseconds()));
        return new Result(List.of(small, large), link, (step(home) + step(away)) / 2);
    }

    private static Trip trip(Device home, Device away, int bytes, int trips) {
        try (RoundTrips all = RoundTrips.compose(home, away, bytes / RoundTrips.ROW_BYTES, trips)) {
            return new Trip(bytes, median(all::run) / trips);
        }
    }

    private static double step(Device device) {
        Tensor x = floats(device, Shape.of(1, WIDTH));
        Tensor slots = floats(device, new Shape(1, 1, 1, WIDTH));
        BatchShape shape = new BatchShape(1, 0, 1, 1, 0, 0, 0);
        try (Step step = device.newStep(new StepOptions(Activations.HALF, shape))) {
            step.addSlots(x, slots);
            step.end();
            Batch batch = new Batch(shape);
            batch.addRow(0, 0, 0);
            return median(() -> {
                device.run(step, batch);
                device.sync();
            });
        } finally {
            device.free(x);
            device.free(slots);
        }
    }

    private static Tensor floats(Device device, Shape shape) {
        return device.alloc("probe", Tensor.Kind.ACTIVATION, TensorType.F32, shape);
    }

    /** Microseconds. */
    private static double median(Runnable work) {
        double[] times = new double[REPETITIONS];
        long enough = System.nanoTime() + ENOUGH_NANOSECONDS;
        int taken = -WARM_UP;
        for (; taken < 1 || taken < REPETITIONS && System.nanoTime() < enough; taken++) {
            long begin = System.nanoTime();
            work.run();
            times[Math.max(taken, 0)] = (System.nanoTime() - begin) / 1e3;
        }
        Arrays.sort(times, 0, taken);
        return times[taken / 2];
    }
}
