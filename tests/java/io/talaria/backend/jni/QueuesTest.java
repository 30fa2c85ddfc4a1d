package io.talaria.backend.jni;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.Activations;
import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.Event;
import io.talaria.backend.OpenOptions;
import io.talaria.backend.Shape;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;

/** Two native devices that work together: rows travel through host memory, and events keep the order. */
class QueuesTest {
    private static final BatchShape SHAPE = BatchShape.of(4, 1, 1);
    private static final StepOptions OPTIONS = new StepOptions(Activations.HALF, SHAPE);

    private static Tensor floats(Device device, Tensor.Kind kind, int rows) {
        return device.alloc("rows", kind, TensorType.F32, Shape.of(rows, 2));
    }

    private static Batch batch() {
        Batch batch = new Batch(SHAPE);
        for (int row = 0; row < 4; row++) {
            batch.addRow(0, row, 0);
        }
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

    @Test
    void rowsTravelThroughHostMemoryInOrder() {
        CpuBackend cpu = new CpuBackend();
        try (Device home = cpu.open(0, OpenOptions.DEFAULT);
                Device helper = cpu.open(0, OpenOptions.DEFAULT);
                Event there = new NativeEvent();
                Event back = new NativeEvent()) {
            Tensor sent = floats(home, Tensor.Kind.ACTIVATION, 4);
            Tensor received = floats(home, Tensor.Kind.ACTIVATION, 4);
            Tensor way = floats(home, Tensor.Kind.HOST, 4);
            Tensor echo = floats(helper, Tensor.Kind.ACTIVATION, 4);

            Step first = home.newStep(OPTIONS);
            first.copy(way, 0, sent, 0, 8);
            first.signal(there);
            first.await(back);
            first.copy(received, 0, way, 0, 8);
            first.end();
            Step second = helper.newStep(OPTIONS);
            second.await(there);
            second.copy(echo, 0, way, 0, 8);
            second.zero(way);
            second.copy(way, 0, echo, 0, 8);
            second.signal(back);
            second.end();

            for (int round = 0; round < 200; round++) {
                home.write(sent, 0, values(round));
                home.run(first, batch());
                helper.run(second, batch());
                assertArrayEquals(values(round).array(), read(home, received), "round " + round);
            }
            home.free(way);
        }
    }

    @Test
    void aSignalThatNeverComesLosesTheDeviceAndOnlyIt() {
        CpuBackend cpu = new CpuBackend();
        Device device = new NativeBackend("cpu", "cpu").open(0, OpenOptions.DEFAULT, 50);
        try (device;
                Device other = cpu.open(0, OpenOptions.DEFAULT);
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

    /** Closing does not wait for a signal that nobody will send. */
    @Test
    void closingADeviceThatWaitsTakesNoTime() {
        long begin = System.nanoTime();
        try (Event never = new NativeEvent();
                Device device = new CpuBackend().open(0, OpenOptions.DEFAULT)) {
            Step step = device.newStep(OPTIONS);
            step.await(never);
            step.end();
            device.run(step, batch());
        }
        assertTrue(System.nanoTime() - begin < 10_000_000_000L, "it waited for the whole limit of 30 s");
    }

    /** A tensor and a step that are freed while the queue works on them stay until it is done. */
    @Test
    void freeingWhatIsInUseIsSafe() {
        try (Device device = new CpuBackend().open(0, OpenOptions.DEFAULT)) {
            for (int round = 0; round < 100; round++) {
                Tensor a = floats(device, Tensor.Kind.ACTIVATION, 4);
                Tensor b = floats(device, Tensor.Kind.ACTIVATION, 4);
                device.write(a, 0, values(round));
                Step step = device.newStep(OPTIONS);
                step.copy(b, 0, a, 0, 8);
                step.end();
                device.run(step, batch());
                device.free(a);
                assertArrayEquals(values(round).array(), read(device, b));
                device.run(step, batch());
                step.close();
                device.free(b);
                assertThrows(DeviceException.class, () -> device.free(b));
            }
        }
    }
}
