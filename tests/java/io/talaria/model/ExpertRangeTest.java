package io.talaria.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.Shape;
import io.talaria.backend.TensorSource;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Ranges of experts' rows and columns are those bytes, wherever a read begins and ends. */
class ExpertRangeTest {
    private static final int PLANES = 3;
    private static final int ROWS = 37;
    private static final int COLUMNS = 2048;

    /** A weight in memory that counts what is read of it. */
    private static final class Counted implements TensorSource {
        private final TensorType type;
        private final Shape shape = Shape.of(PLANES, ROWS, COLUMNS);
        private final byte[] bytes;
        private int reads;
        private long read;

        Counted(TensorType type) {
            this.type = type;
            bytes = new byte[Math.toIntExact(type.bytes(shape.elements()))];
            new Random(5).nextBytes(bytes);
        }

        @Override
        public String name() {
            return "counted";
        }

        @Override
        public TensorType type() {
            return type;
        }

        @Override
        public Shape shape() {
            return shape;
        }

        @Override
        public void read(long offset, ByteBuffer target) {
            reads++;
            read += target.remaining();
            target.put(bytes, Math.toIntExact(offset), target.remaining());
        }

        /** Row by row, as anybody would take a range out. */
        byte[] expected(int firstRow, int rows, int firstColumn, int columns) {
            ByteBuffer range = ByteBuffer.allocate(Math.toIntExact(type.bytes((long) PLANES * rows * columns)));
            for (int plane = 0; plane < PLANES; plane++) {
                for (int row = firstRow; row < firstRow + rows; row++) {
                    long element = ((long) plane * ROWS + row) * COLUMNS + firstColumn;
                    range.put(bytes, Math.toIntExact(type.bytes(element)), Math.toIntExact(type.bytes(columns)));
                }
            }
            return range.array();
        }
    }

    private static byte[] read(TensorSource source, int offset, int length) throws IOException {
        // Directly, and with bytes before and behind that are nobody's to touch.
        ByteBuffer buffer =
                ByteBuffer.allocateDirect(length + 2).put(0, (byte) 7).put(length + 1, (byte) 9);
        ByteBuffer target = buffer.slice(1, length);
        source.read(offset, target);
        assertEquals(0, target.remaining());
        assertEquals(7, buffer.get(0));
        assertEquals(9, buffer.get(length + 1));
        byte[] bytes = new byte[length];
        buffer.get(1, bytes);
        return bytes;
    }

    private static void assertAnyRange(byte[] expected, TensorSource range, Random random) throws IOException {
        assertEquals(expected.length, range.type().bytes(range.shape().elements()));
        assertArrayEquals(expected, read(range, 0, expected.length));
        for (int i = 0; i < 200; i++) {
            int from = random.nextInt(expected.length);
            int length = random.nextInt(expected.length - from + 1);
            assertArrayEquals(
                    Arrays.copyOfRange(expected, from, from + length), read(range, from, length), from + " +" + length);
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = TensorType.class,
            names = {"F16", "Q8_0", "Q4_K", "Q6_K"})
    void rangesAreTheirBytes(TensorType type) throws IOException {
        Random random = new Random(8);
        Counted all = new Counted(type);
        for (int[] range : new int[][] {{0, 256}, {256, 256}, {1792, 256}, {0, 1792}, {512, 1024}}) {
            byte[] expected = all.expected(0, ROWS, range[0], range[1]);
            assertAnyRange(expected, ExpertRange.columns(all, range[0], range[1]), random);
        }
        for (int[] range : new int[][] {{0, 1}, {0, 20}, {20, 17}, {36, 1}}) {
            byte[] expected = all.expected(range[0], range[1], 0, COLUMNS);
            assertAnyRange(expected, ExpertRange.rows(all, range[0], range[1]), random);
        }
    }

    /** Not row by row, and of what lies between no more than once. */
    @Test
    void manyRowsAreReadAtOnce() throws IOException {
        Counted all = new Counted(TensorType.Q4_K);
        TensorSource half = ExpertRange.columns(all, 1024, 1024);
        int bytes = all.bytes.length / 2;
        read(half, 0, bytes);
        assertTrue(all.reads < PLANES * ROWS / 5, all.reads + " reads for " + PLANES * ROWS + " rows");
        assertTrue(all.read <= all.bytes.length, all.read + " bytes of " + all.bytes.length);
    }

    @Test
    void allOfItIsTheWeightItself() {
        Counted all = new Counted(TensorType.F16);
        assertSame(all, ExpertRange.columns(all, 0, COLUMNS));
        assertSame(all, ExpertRange.rows(all, 0, ROWS));
    }
}
