package io.talaria.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.DeviceException.Kind;
import io.talaria.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.OptionalInt;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Memory at one device that another one copies to and from: the emulator's devices reach each other, as GPUs may. */
class PeerTest {
    private static final int ROWS = 70;
    private static final int WIDTH = 300; // of a row; together more than one block of threads of a GPU copies
    private static final int ROW_BYTES = WIDTH * Integer.BYTES;
    private static final StepOptions OPTIONS =
            new StepOptions(Activations.HALF, new BatchShape(ROWS, 0, 1, 1, 0, 0, 0));

    private static Backend simt() {
        return Backends.all().stream()
                .filter(backend -> backend.name().equals("simt"))
                .findFirst()
                .orElseThrow();
    }

    @BeforeEach
    void thereIsAnEmulator() {
        Assumptions.assumeTrue(simt().unavailable().isEmpty(), "not tested: there is no emulator");
    }

    private static Tensor rows(Device device, Tensor.Kind kind) {
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
        ByteBuffer bytes = ByteBuffer.allocateDirect(ROWS * ROW_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < ROWS * WIDTH; i++) {
            bytes.putInt(from + i);
        }
        return bytes.flip();
    }

    /** The first rows are these numbers, and the others zeros still. */
    private static void expect(Device device, Tensor tensor, int from, int rows) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(ROWS * ROW_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        device.read(tensor, 0, bytes);
        for (int i = 0; i < ROWS * WIDTH; i++) {
            assertEquals(i < rows * WIDTH ? from + i : 0, bytes.getInt(i * Integer.BYTES), "word " + i);
        }
    }

    private static Step copying(Device device, Tensor target, Tensor source) {
        Step step = device.newStep(OPTIONS);
        step.copy(target, 0, source, 0, ROW_BYTES);
        step.end();
        return step;
    }

    /** What one writes to the other's memory the other has, once it is told; a row, and more than a block copies. */
    @Test
    void rowsArriveInTheReceiversMemory() {
        for (int rows : new int[] {1, ROWS}) {
            try (Device from = Backends.open("simt:0");
                    Device to = Backends.open("simt:0");
                    Event full = from.newEvent()) {
                assertTrue(from.reaches(to), "the emulator's devices reach each other");
                Tensor place = rows(to, Tensor.Kind.PEER);
                Tensor source = rows(from, Tensor.Kind.ACTIVATION);
                Tensor target = rows(to, Tensor.Kind.ACTIVATION);
                from.write(source, 0, numbers(7));
                Step send = from.newStep(OPTIONS);
                send.copy(place, 0, source, 0, ROW_BYTES);
                send.signal(full);
                send.end();
                Step receive = to.newStep(OPTIONS);
                receive.await(full);
                receive.copy(target, 0, place, 0, ROW_BYTES);
                receive.end();
                to.run(receive, batch(rows));
                from.run(send, batch(rows));
                expect(to, target, 7, rows);
            }
        }
    }

    /** Whoever made it, a step that uses it keeps it: memory that was freed would be seen by a sanitizer. */
    @Test
    void outlivesTheDeviceWhereItLies() {
        try (Device from = Backends.open("simt:0")) {
            Device to = Backends.open("simt:0");
            Tensor place = rows(to, Tensor.Kind.PEER);
            Tensor source = rows(from, Tensor.Kind.ACTIVATION);
            Tensor back = rows(from, Tensor.Kind.ACTIVATION);
            Step there = copying(from, place, source);
            Step here = copying(from, back, place);
            to.close();
            from.write(source, 0, numbers(3));
            from.run(there, batch(ROWS));
            from.run(here, batch(ROWS));
            expect(from, back, 3, ROWS);
            there.close();
            here.close();
            DeviceException stale = assertThrows(DeviceException.class, () -> copying(from, back, place));
            assertTrue(stale.getMessage().contains("stale"), stale.getMessage());
        }
    }

    @Test
    void belongsToNobodyElse() {
        try (Device device = Backends.open("simt:0");
                Device cpu = Backends.open("cpu")) {
            assertFalse(cpu.reaches(device) || device.reaches(cpu), "devices of two kinds");
            Tensor place = rows(device, Tensor.Kind.PEER);
            Tensor own = rows(cpu, Tensor.Kind.ACTIVATION);
            refused(Kind.UNSUPPORTED, "does not reach", () -> copying(cpu, own, place));
            refused(Kind.UNSUPPORTED, "no device reaches the memory", () -> rows(cpu, Tensor.Kind.PEER));
            refused(Kind.INVALID, "by steps alone", () -> device.write(place, 0, numbers(0)));
            refused(Kind.INVALID, "by steps alone", () -> device.read(place, 0, numbers(0)));
            try (Step step = device.newStep(OPTIONS)) {
                refused(Kind.INVALID, "is no activation or host tensor", () -> step.zero(place));
            }
            device.free(place);
            refused(Kind.INVALID, "stale", () -> device.free(place));
        }
    }

    /** A second queue of one device copies from its memory, while the first waits for it. */
    @Test
    void aSecondQueueCopiesAtTheSameTime() {
        try (Device home = Backends.open("simt:0");
                Device cpu = Backends.open("cpu");
                Event ready = home.newEvent();
                Event full = home.newEvent()) {
            assertTrue(cpu.courier().isEmpty(), "the cpu has one queue");
            Device courier = home.courier().orElseThrow();
            assertTrue(
                    courier == home.courier().orElseThrow() && courier.courier().isEmpty());
            Tensor out = rows(home, Tensor.Kind.PEER);
            Tensor in = rows(home, Tensor.Kind.PEER);
            Tensor source = rows(home, Tensor.Kind.ACTIVATION);
            Tensor target = rows(home, Tensor.Kind.ACTIVATION);
            home.write(source, 0, numbers(1));
            Step first = home.newStep(OPTIONS);
            first.copy(out, 0, source, 0, ROW_BYTES);
            first.signal(ready);
            first.await(full);
            first.copy(target, 0, in, 0, ROW_BYTES);
            first.end();
            try (Step second = courier.newStep(OPTIONS)) {
                refused(Kind.INVALID, "only copies", () -> second.zero(target));
                second.await(ready);
                second.copy(in, 0, out, 0, ROW_BYTES);
                second.signal(full);
                second.end();
                home.run(first, batch(ROWS));
                courier.run(second, batch(ROWS));
                expect(home, target, 1, ROWS);
            }
            home.close();
            refused(Kind.INVALID, "closed", courier::sync);
        }
    }

    /** What is only planned has no memory, and is counted as what is there. */
    @Test
    void isPlannedAsItIs() {
        try (Device device = Backends.open("simt:0");
                Device planned =
                        simt().plan(OptionalInt.of(0), OpenOptions.DEFAULT).orElseThrow();
                Device other =
                        simt().plan(OptionalInt.of(0), OpenOptions.DEFAULT).orElseThrow()) {
            assertTrue(planned.reaches(other));
            assertFalse(device.reaches(planned) || planned.reaches(device), "one is there and one is not");
            long before = device.memory().total();
            Tensor place = rows(planned, Tensor.Kind.PEER);
            Tensor there = rows(device, Tensor.Kind.PEER);
            assertTrue(device.memory().total() >= before + ROWS * ROW_BYTES);
            assertEquals(device.memory().total(), planned.memory().total());
            device.free(there);
            assertEquals(before, device.memory().total());
            Tensor own = rows(device, Tensor.Kind.ACTIVATION);
            refused(Kind.UNSUPPORTED, "does not reach", () -> copying(device, own, place));
        }
    }

    private static void refused(Kind kind, String words, Runnable call) {
        DeviceException e = assertThrows(DeviceException.class, call::run);
        assertEquals(kind, e.kind(), e.getMessage());
        assertTrue(e.getMessage().contains(words), e.getMessage());
    }
}
