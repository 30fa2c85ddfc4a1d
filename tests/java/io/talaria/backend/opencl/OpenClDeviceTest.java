package io.talaria.backend.opencl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.Event;
import io.talaria.backend.Shape;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.backend.jni.NativeEvent;
import io.talaria.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What an OpenCL device does besides computing: its queue, host tensors, events, and its end. */
class OpenClDeviceTest {
    private static final StepOptions OPTIONS = new StepOptions(Activations.HALF, BatchShape.of(1, 1, 1));

    @BeforeEach
    void aDeviceIsHere() {
        Present.orSkip();
    }

    private static Device open(int waitLimit) {
        return Present.orSkip().getFirst().open("opencl:0", waitLimit);
    }

    private static Tensor floats(Device device, Tensor.Kind kind) {
        return device.alloc("tensor", kind, TensorType.F32, Shape.of(1, 8));
    }

    private static Batch batch() {
        Batch batch = new Batch(OPTIONS.batch());
        batch.addRow(0, 0, 0);
        return batch;
    }

    private static ByteBuffer values(float first) {
        ByteBuffer bytes = ByteBuffer.allocate(32).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < 8; i++) {
            bytes.putFloat(first + i);
        }
        return bytes.flip();
    }

    private static byte[] read(Device device, Tensor tensor) {
        byte[] bytes = new byte[32];
        device.read(tensor, 0, ByteBuffer.wrap(bytes));
        return bytes;
    }

    /** Through a host tensor of the one or of the other, and events that both know. */
    @Test
    void rowsTravelToTheProcessorAndBackInOrder() {
        exchange("cpu:0", "opencl:0", false);
        exchange("opencl:0", "cpu:0", true);
        exchange("opencl:0", "opencl:0", false);
    }

    private static void exchange(String homeName, String helperName, boolean ofHelper) {
        try (Device home = Backends.open(homeName);
                Device helper = Backends.open(helperName);
                Event there = new NativeEvent();
                Event back = new NativeEvent()) {
            Tensor sent = floats(home, Tensor.Kind.ACTIVATION);
            Tensor received = floats(home, Tensor.Kind.ACTIVATION);
            Tensor way = floats(ofHelper ? helper : home, Tensor.Kind.HOST);
            Tensor echo = floats(helper, Tensor.Kind.ACTIVATION);
            Step first = home.newStep(OPTIONS);
            first.copy(way, 0, sent, 0, 32);
            first.signal(there);
            first.await(back);
            first.copy(received, 0, way, 0, 32);
            first.end();
            Step second = helper.newStep(OPTIONS);
            second.await(there);
            second.copy(echo, 0, way, 0, 32);
            second.zero(way);
            second.copy(way, 0, echo, 0, 32);
            second.signal(back);
            second.end();
            for (int round = 0; round < 50; round++) {
                home.write(sent, 0, values(round));
                home.run(first, batch());
                helper.run(second, batch());
                assertArrayEquals(values(round).array(), read(home, received), homeName + ", round " + round);
            }
        }
    }

    @Test
    void aSignalThatNeverComesLosesTheDeviceAndOnlyIt() {
        try (Device device = open(50);
                Device other = open(50);
                Event never = new NativeEvent()) {
            Step step = device.newStep(OPTIONS);
            step.await(never);
            step.end();
            device.run(step, batch());
            DeviceException thrown = assertThrows(DeviceException.class, device::sync);
            assertEquals(DeviceException.Kind.LOST, thrown.kind());
            assertTrue(device.lost());
            assertEquals(
                    DeviceException.Kind.LOST,
                    assertThrows(DeviceException.class, device::sync).kind());
            other.sync();
        }
    }

    @Test
    void closingADeviceThatWaitsTakesNoTime() {
        long begin = System.nanoTime();
        try (Event never = new NativeEvent();
                Device device = open(30_000)) {
            Step step = device.newStep(OPTIONS);
            step.await(never);
            step.end();
            device.run(step, batch());
        }
        assertTrue(System.nanoTime() - begin < 10_000_000_000L, "it waited for the whole limit of 30 s");
    }

    /** A tensor that is freed stays for the steps that use it, and is refused by all else. */
    @Test
    void freeingWhatIsInUseIsSafe() {
        try (Device device = open(1000)) {
            long free = device.info().freeBytes();
            for (int round = 0; round < 50; round++) {
                Tensor a = floats(device, Tensor.Kind.ACTIVATION);
                Tensor b = floats(device, Tensor.Kind.ACTIVATION);
                device.write(a, 0, values(round));
                Step step = device.newStep(OPTIONS);
                step.copy(b, 0, a, 0, 32);
                step.end();
                device.run(step, batch());
                device.free(a);
                assertThrows(DeviceException.class, () -> device.write(a, 0, values(0)));
                assertArrayEquals(values(round).array(), read(device, b));
                device.run(step, batch());
                step.close();
                device.free(b);
                assertThrows(DeviceException.class, () -> device.free(b));
            }
            assertTrue(free > 0);
        }
    }

    /** What a process takes of a device's memory it gives back when it closes what it opened. */
    @Test
    void closingGivesAllMemoryBack() {
        SharedDevice shared = Present.orSkip().getFirst();
        long before = shared.takenBytes();
        try (Device device = shared.open("opencl:0")) {
            device.alloc("KV", Tensor.Kind.KV, TensorType.Q8_0, new Shape(3, 4, 32, 64));
            Tensor x = floats(device, Tensor.Kind.ACTIVATION);
            Step step = device.newStep(OPTIONS);
            step.zero(x);
            step.end();
            device.run(step, batch());
            assertTrue(shared.takenBytes() > before);
            assertEquals(3 * 4 * 32 * 68, device.memory().kv());
            assertTrue(device.memory().scratch() > 0);
            assertEquals(shared.takenBytes() - before, device.memory().total());
        }
        assertEquals(before, shared.takenBytes());
    }
}
