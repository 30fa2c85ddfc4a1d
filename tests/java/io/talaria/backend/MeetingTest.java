package io.talaria.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.Device.Meeting;
import io.talaria.backend.DeviceException.Kind;
import io.talaria.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Two devices of any kinds whose steps meet: what one sends the other has, and if one fails none waits in vain. */
class MeetingTest {
    private static final int ROWS = 60;
    private static final int WIDTH = 300; // of a row; together more than one block of threads of a GPU copies
    private static final StepOptions OPTIONS =
            new StepOptions(Activations.HALF, new BatchShape(ROWS, 0, 1, 1, 0, 0, 0));

    static Stream<List<String>> pairs() {
        List<String> kinds = List.of("cpu", "simt:0", "opencl:0");
        return kinds.stream().flatMap(a -> kinds.stream().map(b -> List.of(a, b)));
    }

    private static Device open(String name) {
        String backend = name.split(":")[0];
        boolean here = Backends.all().stream()
                .anyMatch(b -> b.name().equals(backend) && b.unavailable().isEmpty());
        Assumptions.assumeTrue(here, "not tested: there is no device " + name);
        return Backends.open(name);
    }

    private static Device maker(Device a, Device b) {
        return Stream.of(a, b).max(Comparator.comparing(Device::meeting)).orElseThrow();
    }

    private static Tensor tensor(Device device, Tensor.Kind kind) {
        return device.alloc("rows", kind, TensorType.I32, Shape.of(ROWS, WIDTH));
    }

    private static Batch batch(int rows) {
        Batch batch = new Batch(OPTIONS.batch());
        for (int row = 0; row < rows; row++) {
            batch.addRow(0, 0, 0);
        }
        return batch;
    }

    private static ByteBuffer numbers(int from) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(ROWS * WIDTH * 4).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < ROWS * WIDTH; i++) {
            bytes.putInt(from + i);
        }
        return bytes.flip();
    }

    private static void expect(Device device, Tensor tensor, int from, int rows) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(rows * WIDTH * 4).order(ByteOrder.LITTLE_ENDIAN);
        device.read(tensor, 0, bytes);
        for (int i = 0; i < rows * WIDTH; i++) {
            assertEquals(from + i, bytes.getInt(i * 4), "word " + i);
        }
    }

    /** There and back four times in one step, through the same place: whoever runs ahead is seen. */
    @ParameterizedTest
    @MethodSource("pairs")
    void rowsTravelInOrder(List<String> names) {
        try (Device home = open(names.get(0));
                Device away = open(names.get(1));
                Event there = maker(home, away).newEvent();
                Event back = maker(home, away).newEvent()) {
            Tensor place = tensor(maker(home, away), Tensor.Kind.HOST);
            List<Tensor> own = Stream.generate(() -> tensor(home, Tensor.Kind.ACTIVATION))
                    .limit(5)
                    .toList();
            Tensor other = tensor(away, Tensor.Kind.ACTIVATION);
            Step first = home.newStep(OPTIONS);
            Step second = away.newStep(OPTIONS);
            for (int i = 0; i < 4; i++) {
                first.copy(place, 0, own.get(i), 0, WIDTH * 4);
                first.signal(there);
                first.zero(own.get(i));
                first.await(back);
                first.copy(own.get(i + 1), 0, place, 0, WIDTH * 4);
                second.await(there);
                second.copy(other, 0, place, 0, WIDTH * 4);
                second.zero(place);
                second.copy(place, 0, other, 0, WIDTH * 4);
                second.signal(back);
            }
            first.end();
            second.end();
            for (int round = 0; round < 5; round++) {
                int rows = round % 2 == 0 ? ROWS : 1;
                home.write(own.get(0), 0, numbers(round * 1000));
                away.run(second, batch(rows));
                home.run(first, batch(rows));
                expect(home, own.get(4), round * 1000, rows);
                expect(away, other, round * 1000, rows);
            }
        }
    }

    /** One waits for an event that is abandoned; the other waits for it, and both go on with something else. */
    @ParameterizedTest
    @MethodSource("pairs")
    void whoWaitsForOneThatFailsHearsOfIt(List<String> names) {
        try (Device first = open(names.get(0));
                Device second = open(names.get(1));
                Event never = maker(first, second).newEvent();
                Event between = maker(first, second).newEvent();
                Event last = maker(first, second).newEvent()) {
            Tensor there = tensor(second, Tensor.Kind.ACTIVATION);
            Tensor other = tensor(second, Tensor.Kind.ACTIVATION);
            second.write(other, 0, numbers(5));
            Step a = first.newStep(OPTIONS);
            a.await(never);
            a.signal(between);
            a.end();
            Step b = second.newStep(OPTIONS);
            b.await(between);
            b.signal(last);
            b.end();
            second.run(b, batch(1));
            first.run(a, batch(1));
            assertFalse(last.await(50), "a signal, though nobody has sent the first");
            never.abandon();
            Assertions.assertTimeout(Duration.ofSeconds(10), () -> {
                for (Device device : List.of(first, second)) {
                    DeviceException failed = assertThrows(DeviceException.class, device::sync);
                    assertEquals(Kind.INVALID, failed.kind());
                    assertTrue(failed.getMessage().contains("has failed"), failed.getMessage());
                    assertFalse(device.lost());
                }
                assertThrows(DeviceException.class, () -> last.await(30_000));
            });
            Step copy = second.newStep(OPTIONS);
            copy.copy(there, 0, other, 0, WIDTH * 4);
            copy.end();
            second.run(copy, batch(ROWS));
            expect(second, there, 5, ROWS);
            first.sync();
        }
    }

    /** Closing a device while it waits ends the wait, and that of who waits for it. */
    @ParameterizedTest
    @MethodSource("pairs")
    void closingEndsWaits(List<String> names) {
        try (Device second = open(names.get(1))) {
            Device first = open(names.get(0));
            Event never = maker(first, second).newEvent();
            Event between = maker(first, second).newEvent();
            Step a = first.newStep(OPTIONS);
            a.await(never);
            a.signal(between);
            a.end();
            Step b = second.newStep(OPTIONS);
            b.await(between);
            b.end();
            second.run(b, batch(1));
            first.run(a, batch(1));
            Assertions.assertTimeout(Duration.ofSeconds(10), first::close);
            DeviceException failed = assertThrows(DeviceException.class, second::sync);
            assertEquals(Kind.INVALID, failed.kind());
            never.close();
            between.close();
        }
    }

    @ParameterizedTest
    @MethodSource("names")
    void whatMeetsNobodySaysSo(String name) {
        try (Device device = open(name)) {
            if (device.meeting() == Meeting.NOBODY) {
                assertEquals(
                        Kind.UNSUPPORTED,
                        assertThrows(DeviceException.class, device::newEvent).kind());
            } else {
                device.newEvent().close();
            }
        }
    }

    static Stream<String> names() {
        return Stream.of("reference", "cpu", "simt:0", "opencl:0");
    }
}
