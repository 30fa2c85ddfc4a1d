package io.talaria.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.quant.TensorType;
import java.nio.ByteBuffer;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Devices that stand in for others to be planned with: everything is counted, and nothing is there. */
class PlanOnlyTest {
    /** Weights of a petabyte, as a damaged header may claim. */
    private static final Shape HUGE = Shape.of(1L << 25, 1L << 25);

    private static List<Device> standIns() {
        return List.of(
                Backends.plan("cpu", OpenOptions.DEFAULT).orElseThrow(),
                Backends.planAnyGpu().orElseThrow());
    }

    private static TensorSource weight(Shape shape) {
        return new TensorSource() {
            @Override
            public String name() {
                return "weight";
            }

            @Override
            public TensorType type() {
                return TensorType.F32;
            }

            @Override
            public Shape shape() {
                return shape;
            }

            @Override
            public void read(long offset, ByteBuffer target) {
                throw new AssertionError("a stand-in reads nothing");
            }
        };
    }

    @Test
    void weightsAndTensorsAreCountedAndTakeNothing() throws Exception {
        for (Device device : standIns()) {
            try (device) {
                Tensor weight = device.load(weight(Shape.of(1 << 18, 1 << 18))); // 256 GiB
                assertEquals(1L << 38, device.memory().weights());
                Tensor kv = device.alloc("kv", Tensor.Kind.KV, TensorType.F16, new Shape(64, 1 << 15, 32, 1024));
                assertEquals(1L << 37, device.memory().kv());
                device.free(weight);
                device.free(kv);
                assertEquals(0, device.memory().weights());
                assertEquals(0, device.memory().kv());
            }
        }
    }

    @Test
    void nothingIsReadOrRun() {
        BatchShape shape = new BatchShape(1, 0, 1, 1, 0, 0, 0);
        for (Device device : standIns()) {
            try (device) {
                Tensor x = device.alloc("x", Tensor.Kind.ACTIVATION, TensorType.F32, Shape.of(1, 32));
                device.write(x, 0, ByteBuffer.allocateDirect(128));
                refused(() -> device.read(x, 0, ByteBuffer.allocateDirect(128)));
                Step step = device.newStep(new StepOptions(Activations.HALF, shape));
                step.zero(x);
                step.end();
                Batch batch = new Batch(shape);
                batch.addRow(0, 0, 0);
                refused(() -> device.run(step, batch));
                refused(() -> device.readBandwidth(1 << 20));
                device.sync();
            }
        }
    }

    private static void refused(Runnable call) {
        DeviceException refused = assertThrows(DeviceException.class, call::run);
        assertEquals(DeviceException.Kind.INVALID, refused.kind());
        assertTrue(refused.getMessage().contains("only plans"), refused.getMessage());
    }

    @Test
    void whatIsLargerThanAnyDeviceIsRefusedOrCountedAndNeverOverflows() throws Exception {
        for (Device device : standIns()) {
            try (device) {
                long counted = 0;
                for (int i = 0; i < 2000; i++) {
                    try {
                        device.load(weight(HUGE));
                        counted += 4L << 50;
                    } catch (DeviceException e) {
                        assertEquals(DeviceException.Kind.OUT_OF_MEMORY, e.kind());
                    }
                }
                assertEquals(counted, device.memory().weights());
            }
        }
    }
}
