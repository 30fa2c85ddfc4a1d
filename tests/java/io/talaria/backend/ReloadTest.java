package io.talaria.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** A weight that is loaded again has the new values for what is queued from then on, and the old ones for what was before. */
class ReloadTest {
    private static final int COLUMNS = 256;
    private static final List<TensorType> TYPES = List.of(
            TensorType.F32,
            TensorType.F16,
            TensorType.BF16,
            TensorType.Q4_0,
            TensorType.Q8_0,
            TensorType.Q4_K,
            TensorType.Q5_K,
            TensorType.Q6_K);

    static Stream<String> devices() {
        return DeviceMisuseTest.devices();
    }

    /** Rows that fill panels, and rows that do not. */
    static Stream<Arguments> weights() {
        return devices()
                .flatMap(device -> TYPES.stream()
                        .flatMap(type -> Stream.of(64, 37).map(rows -> Arguments.of(device, type, rows))));
    }

    private record Bytes(String name, TensorType type, Shape shape, byte[] values) implements TensorSource {
        static Bytes random(TensorType type, Shape shape, Random random) {
            byte[] values = new byte[(int) type.bytes(shape.elements())];
            random.nextBytes(values);
            // Of bytes that are all in one range every scale is a number.
            for (int i = 0; i < values.length; i++) {
                values[i] = (byte) (values[i] & 0x3f);
            }
            return new Bytes("table", type, shape, values);
        }

        @Override
        public void read(long offset, ByteBuffer target) {
            target.put(values, (int) offset, target.remaining());
        }
    }

    private static final class Embedding implements AutoCloseable {
        private final Device device;
        private final Tensor x;
        private final Step step;
        private final Batch batch;
        private final int rows;

        Embedding(Device device, Tensor table, int rows) {
            this.device = device;
            this.rows = rows;
            BatchShape shape = BatchShape.of(rows, 1, 1);
            boolean exact = device.info().device().equals("reference");
            step = device.newStep(new StepOptions(exact ? Activations.EXACT : Activations.HALF, shape));
            x = device.alloc("x", Tensor.Kind.ACTIVATION, TensorType.F32, Shape.of(rows, COLUMNS));
            step.embed(x, table);
            step.end();
            batch = new Batch(shape);
            for (int row = 0; row < rows; row++) {
                batch.addRow(row, 0, 0);
            }
        }

        void run() {
            device.run(step, batch);
        }

        float[] read() {
            ByteBuffer bytes =
                    ByteBuffer.allocateDirect(rows * COLUMNS * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            device.read(x, 0, bytes);
            float[] values = new float[rows * COLUMNS];
            bytes.clear().asFloatBuffer().get(values);
            return values;
        }

        @Override
        public void close() {
            step.close();
        }
    }

    private static float[] embedded(Device device, Tensor table, int rows) {
        try (Embedding embedding = new Embedding(device, table, rows)) {
            embedding.run();
            return embedding.read();
        }
    }

    @ParameterizedTest
    @MethodSource("weights")
    void whatComesAfterItHasTheNewValues(String name, TensorType type, int rows) throws IOException {
        Random random = new Random(rows);
        Bytes first = Bytes.random(type, Shape.of(rows, COLUMNS), random);
        Bytes second = Bytes.random(type, Shape.of(rows, COLUMNS), random);
        try (Device device = Backends.open(name)) {
            float[] before = embedded(device, device.load(first), rows);
            float[] after = embedded(device, device.load(second), rows);
            assertFalse(Arrays.equals(before, after));
            Tensor table = device.load(first);
            try (Embedding one = new Embedding(device, table, rows);
                    Embedding two = new Embedding(device, table, rows)) {
                one.run();
                device.reload(table, second);
                two.run();
                assertArrayEquals(before, one.read());
                assertArrayEquals(after, two.read());
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void whatDoesNotFitIsRefused(String name) throws IOException {
        Random random = new Random(1);
        try (Device device = Backends.open(name);
                Device other = Backends.open(name)) {
            Shape shape = Shape.of(2, 8, COLUMNS);
            Bytes right = Bytes.random(TensorType.Q8_0, shape, random);
            Tensor weight = device.load(right);
            List<Bytes> wrong = new ArrayList<>();
            for (Shape bad : List.of(
                    Shape.of(3, 8, COLUMNS),
                    Shape.of(2, 7, COLUMNS),
                    Shape.of(2, 8, 2 * COLUMNS),
                    new Shape(2, 2, 8, COLUMNS))) {
                wrong.add(Bytes.random(TensorType.Q8_0, bad, random));
            }
            wrong.add(Bytes.random(TensorType.Q4_0, shape, random));
            for (Bytes source : wrong) {
                refused(device, weight, source);
            }
            Tensor x = device.alloc("x", Tensor.Kind.ACTIVATION, TensorType.F32, Shape.of(8, COLUMNS));
            refused(device, x, Bytes.random(TensorType.F32, Shape.of(8, COLUMNS), random));
            if (!name.equals("reference")) { // which leaves weights where they are
                refused(other, weight, right);
            }
            device.reload(weight, Bytes.random(TensorType.Q8_0, Shape.of(1, 8, COLUMNS), random));
            device.reload(weight, right);
        }
    }

    private static void refused(Device device, Tensor weight, TensorSource source) {
        DeviceException thrown = assertThrows(DeviceException.class, () -> device.reload(weight, source));
        assertEquals(DeviceException.Kind.INVALID, thrown.kind(), thrown.getMessage());
    }
}
