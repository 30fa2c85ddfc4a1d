package io.talaria.backend;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Wrong use of a device: a typed error with a sentence each time, and a device that works on. */
class DeviceMisuseTest {
    static Stream<String> devices() {
        return Backends.all().stream()
                .flatMap(backend -> backend.devices().stream())
                .map(DeviceInfo::device);
    }

    /** Those that have weights of their own. */
    static Stream<String> computing() {
        return devices().filter(device -> !device.equals("reference"));
    }

    private static DeviceException refused(Executable call) {
        DeviceException thrown = assertThrows(DeviceException.class, call);
        assertTrue(thrown.getMessage() != null && thrown.getMessage().length() > 10, "no sentence: " + thrown);
        return thrown;
    }

    private static DeviceException invalid(Executable call) {
        DeviceException thrown = refused(call);
        assertEquals(DeviceException.Kind.INVALID, thrown.kind(), thrown.getMessage());
        return thrown;
    }

    private static Tensor floats(Device device, String label, Shape shape) {
        return device.alloc(label, Tensor.Kind.ACTIVATION, TensorType.F32, shape);
    }

    private static StepOptions options(Device device, BatchShape shape) {
        boolean exact = device.info().device().equals("reference");
        return new StepOptions(exact ? Activations.EXACT : Activations.HALF, shape);
    }

    private record Zeros(String name, TensorType type, Shape shape) implements TensorSource {
        @Override
        public void read(long offset, ByteBuffer target) {
            target.position(target.limit());
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void wrongOrderIsRefusedAndTheDeviceGoesOn(String name) throws IOException {
        try (Device device = Backends.open(name)) {
            BatchShape shape = BatchShape.of(2, 1, 1);
            Tensor x = floats(device, "x", Shape.of(2, 8));
            Tensor table = device.load(new Zeros("table", TensorType.F32, Shape.of(4, 8)));
            Step step = device.newStep(options(device, shape));
            step.embed(x, table);
            Batch batch = new Batch(shape);
            batch.addRow(3, 0, 0);
            invalid(() -> device.run(step, batch));
            step.end();
            invalid(step::end);
            invalid(() -> step.embed(x, table));
            assertDoesNotThrow(() -> device.run(step, batch));
            batch.clear();
            invalid(() -> device.run(step, batch));
            batch.addRow(4, 0, 0);
            assertTrue(invalid(() -> {
                        device.run(step, batch);
                        device.sync();
                    })
                    .getMessage()
                    .contains("4"));
            step.close();
            step.close();
            invalid(() -> device.run(step, batch));
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void shapesThatDoNotFitAreRefusedAndTheStepStaysAsItWas(String name) throws IOException {
        try (Device device = Backends.open(name)) {
            Tensor x = floats(device, "x", Shape.of(2, 8));
            Tensor narrow = floats(device, "narrow", Shape.of(2, 4));
            Tensor few = floats(device, "few", Shape.of(1, 8));
            Tensor table = device.load(new Zeros("table", TensorType.F32, Shape.of(4, 8)));
            Step step = device.newStep(options(device, BatchShape.of(2, 1, 1)));
            invalid(() -> step.embed(narrow, table));
            invalid(() -> step.embed(few, table));
            invalid(() -> step.embed(table, x));
            invalid(() -> step.embed(null, table));
            OutputWeights output = new OutputWeights(table, table, 1e-5f);
            invalid(() -> step.topLogits(x, x, output, 1, Optional.empty()));
            step.embed(x, table);
            step.end();
            Batch batch = new Batch(BatchShape.of(2, 1, 1));
            batch.addRow(0, 0, 0);
            assertDoesNotThrow(() -> device.run(step, batch));
            invalid(() -> device.run(step, new Batch(BatchShape.of(3, 1, 1))));
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void copiesOutsideATensorAreRefused(String name) {
        try (Device device = Backends.open(name)) {
            Tensor x = floats(device, "x", Shape.of(2, 8));
            invalid(() -> device.write(x, 0, ByteBuffer.allocate(68)));
            invalid(() -> device.read(x, 0, ByteBuffer.allocateDirect(4).asReadOnlyBuffer()));
            invalid(() -> device.write(x, -4, ByteBuffer.allocate(4)));
            invalid(() -> device.write(x, 64, ByteBuffer.allocate(4)));
            invalid(() -> device.read(x, Long.MAX_VALUE - 3, ByteBuffer.allocate(4)));
            ByteBuffer part = ByteBuffer.allocateDirect(16).position(4).limit(12);
            device.write(x, 0, part);
            assertEquals(4, part.position(), "the buffer is the caller's");
            device.read(x, 56, part);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void tensorsOfAnotherDeviceAreRefused(String name) throws IOException {
        try (Device device = Backends.open(name);
                Device other = Backends.open(name)) {
            Tensor table = other.load(new Zeros("table", TensorType.F32, Shape.of(4, 8)));
            Step step = other.newStep(options(other, BatchShape.of(1, 1, 1)));
            step.embed(floats(other, "x", Shape.of(1, 8)), table);
            step.end();
            invalid(() -> device.run(step, new Batch(BatchShape.of(1, 1, 1))));
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void aClosedDeviceSaysSo(String name) {
        Device device = Backends.open(name);
        Tensor x = floats(device, "x", Shape.of(2, 8));
        device.close();
        device.close();
        invalid(() -> device.read(x, 0, ByteBuffer.allocate(4)));
        invalid(() -> device.newStep(options(device, BatchShape.of(1, 1, 1))));
        invalid(device::sync);
        assertFalse(device.lost());
    }

    @ParameterizedTest
    @MethodSource("devices")
    void moreThanThereIsIsOutOfMemoryAndTheDeviceGoesOn(String name) {
        try (Device device = Backends.open(name)) {
            Shape huge = Shape.of(1L << 22, 1L << 20);
            assertEquals(
                    DeviceException.Kind.OUT_OF_MEMORY,
                    refused(() -> floats(device, "huge", huge)).kind());
            assertDoesNotThrow(() -> floats(device, "small", Shape.of(8)));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"cpu:1", "cpu:9999", "gpu:0", "CPU", "cpu:-1", "cpu,cpu", "", "reference:1", "cpu:0x"})
    void namesOfNoDeviceAreRefused(String name) {
        assertEquals(
                DeviceException.Kind.UNSUPPORTED,
                refused(() -> Backends.open(name)).kind());
    }

    @ParameterizedTest
    @MethodSource("computing")
    void whatADeviceDoesNotComputeIsUnsupported(String name) {
        try (Device device = Backends.open(name)) {
            TensorSource q3 = new Zeros("blk.0.attn_q.weight", TensorType.Q3_K, Shape.of(2, 256));
            DeviceException thrown = refused(() -> device.load(q3));
            assertEquals(DeviceException.Kind.UNSUPPORTED, thrown.kind());
            assertTrue(thrown.getMessage().contains("blk.0.attn_q.weight"), thrown.getMessage());
            assertTrue(thrown.getMessage().contains("Q3_K"), thrown.getMessage());
            StepOptions exact = new StepOptions(Activations.EXACT, BatchShape.of(1, 1, 1));
            assertEquals(
                    DeviceException.Kind.UNSUPPORTED,
                    refused(() -> device.newStep(exact)).kind());
            StepOptions blocks = new StepOptions(Activations.INT8_256, BatchShape.of(1, 1, 1));
            assertEquals(
                    DeviceException.Kind.UNSUPPORTED,
                    refused(() -> device.newStep(blocks)).kind());
        }
    }

    /** A weight whose source fails half-way leaves the device as it was. */
    @ParameterizedTest
    @MethodSource("computing")
    void aSourceThatFailsIsReported(String name) {
        try (Device device = Backends.open(name)) {
            TensorSource broken = new TensorSource() {
                @Override
                public String name() {
                    return "broken";
                }

                @Override
                public TensorType type() {
                    return TensorType.F32;
                }

                @Override
                public Shape shape() {
                    return Shape.of(4096, 1024);
                }

                @Override
                public void read(long offset, ByteBuffer target) throws IOException {
                    if (offset > 0) {
                        throw new IOException("the file shrank");
                    }
                    target.position(target.limit());
                }
            };
            assertEquals(
                    "the file shrank",
                    assertThrows(IOException.class, () -> device.load(broken)).getMessage());
            assertDoesNotThrow(device::sync);
        }
    }
}
