package io.talaria.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.TestData;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class QuantDecodeTest {
    @ParameterizedTest
    @EnumSource(
            mode = EnumSource.Mode.EXCLUDE,
            names = {"F32", "F16", "BF16", "F64", "I8", "I16", "I32", "I64"})
    void goldenBlocksAreBitEqual(TensorType type) throws IOException {
        byte[] blocks = Files.readAllBytes(TestData.golden("blocks/" + type + ".bin"));
        ByteBuffer expected = ByteBuffer.wrap(Files.readAllBytes(TestData.golden("blocks/" + type + ".f32")))
                .order(ByteOrder.LITTLE_ENDIAN);
        int elements = blocks.length / type.blockBytes() * type.blockElements();
        assertEquals(128 * type.blockElements(), elements);
        assertEquals(4 * elements, expected.capacity());
        float[] values = new float[elements];
        Quant.decode(type, blocks, 0, values, 0, elements);
        for (int i = 0; i < elements; i++) {
            int element = i;
            assertEquals(
                    expected.getInt(4 * i), Float.floatToRawIntBits(values[i]), () -> type + " element " + element);
        }
    }

    /**
     * Every step but the last is exact in float32 (11-bit halves times small integers), so float32 and double
     * arithmetic must agree to the bit after rounding.
     */
    @ParameterizedTest
    @EnumSource(
            mode = EnumSource.Mode.EXCLUDE,
            names = {"F32", "F16", "BF16", "F64", "I8", "I16", "I32", "I64"})
    void randomBlocksEqualADoubleDecode(TensorType type) {
        int blocks = 64;
        int elements = blocks * type.blockElements();
        byte[] source = new byte[blocks * type.blockBytes()];
        float[] values = new float[elements];
        Random random = new Random(type.id());
        for (int round = 0; round < 1000; round++) {
            random.nextBytes(source);
            Quant.decode(type, source, 0, values, 0, elements);
            for (int i = 0; i < elements; i++) {
                int block = i / type.blockElements();
                int inBlock = i % type.blockElements();
                float expected = (float) BlockOracle.value(type, source, block * type.blockBytes(), inBlock);
                if (Float.floatToIntBits(expected) != Float.floatToIntBits(values[i])) {
                    assertEquals(expected, values[i], type + " element " + inBlock);
                }
            }
        }
    }

    @Test
    void everyHalfScaleWithEveryNibble() {
        byte[] block = new byte[TensorType.Q4_0.blockBytes()];
        float[] values = new float[32];
        for (int i = 0; i < 16; i++) {
            block[2 + i] = (byte) (i | 15 - i << 4);
        }
        for (int scale = 0; scale < 1 << 16; scale++) {
            block[0] = (byte) scale;
            block[1] = (byte) (scale >> 8);
            double d = BlockOracle.half(ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN), 0);
            Quant.decode(TensorType.Q4_0, block, 0, values, 0, 32);
            for (int i = 0; i < 16; i++) {
                requireSame((float) (d * (i - 8)), values[i], scale, i);
                requireSame((float) (d * (15 - i - 8)), values[16 + i], scale, 15 - i);
            }
        }
    }

    @Test
    void everyHalfScaleWithEveryByte() {
        int bytes = TensorType.Q8_0.blockBytes();
        byte[] blocks = new byte[8 * bytes];
        float[] values = new float[256];
        for (int i = 0; i < 256; i++) {
            blocks[i / 32 * bytes + 2 + i % 32] = (byte) i;
        }
        for (int scale = 0; scale < 1 << 16; scale++) {
            for (int b = 0; b < 8; b++) {
                blocks[b * bytes] = (byte) scale;
                blocks[b * bytes + 1] = (byte) (scale >> 8);
            }
            double d = BlockOracle.half(ByteBuffer.wrap(blocks).order(ByteOrder.LITTLE_ENDIAN), 0);
            Quant.decode(TensorType.Q8_0, blocks, 0, values, 0, 256);
            for (int i = 0; i < 256; i++) {
                requireSame((float) (d * (byte) i), values[i], scale, i);
            }
        }
    }

    // assertEquals boxes its arguments, too slow for 16 million comparisons.
    private static void requireSame(float expected, float actual, int scale, int quant) {
        if (Float.floatToIntBits(expected) != Float.floatToIntBits(actual)) {
            assertEquals(expected, actual, "scale 0x" + Integer.toHexString(scale) + ", quant " + quant);
        }
    }

    @Test
    void plainNumbersBecomeTheNearestFloat() {
        float[] values = new float[3];
        ByteBuffer bytes = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);

        bytes.putFloat(1, 1.5f).putFloat(5, -0f).putFloat(9, Float.MIN_VALUE);
        Quant.decode(TensorType.F32, bytes.array(), 1, values, 0, 3);
        assertArrayEquals(new float[] {1.5f, -0f, Float.MIN_VALUE}, values);

        bytes.putShort(0, (short) 0x3C01).putShort(2, (short) 0x8001).putShort(4, (short) 0xFC00);
        Quant.decode(TensorType.F16, bytes.array(), 0, values, 0, 3);
        assertArrayEquals(new float[] {1 + 0x1p-10f, -0x1p-24f, Float.NEGATIVE_INFINITY}, values);

        bytes.putShort(0, (short) 0x3F81).putShort(2, (short) 0x8001).putShort(4, (short) 0x7F80);
        Quant.decode(TensorType.BF16, bytes.array(), 0, values, 0, 3);
        assertArrayEquals(new float[] {1 + 0x1p-7f, -0x1p-133f, Float.POSITIVE_INFINITY}, values);

        bytes.putDouble(0, 0.1).putDouble(8, -1e300).putDouble(16, 1 + 0x1p-24);
        Quant.decode(TensorType.F64, bytes.array(), 0, values, 0, 3);
        assertArrayEquals(new float[] {0.1f, Float.NEGATIVE_INFINITY, 1}, values);

        bytes.put(0, (byte) -128).put(1, (byte) 127).put(2, (byte) -1);
        Quant.decode(TensorType.I8, bytes.array(), 0, values, 0, 3);
        assertArrayEquals(new float[] {-128, 127, -1}, values);

        bytes.putShort(0, Short.MIN_VALUE).putShort(2, (short) 0x1234).putShort(4, (short) -2);
        Quant.decode(TensorType.I16, bytes.array(), 0, values, 0, 3);
        assertArrayEquals(new float[] {-32768, 0x1234, -2}, values);

        bytes.putInt(0, Integer.MIN_VALUE).putInt(4, 16777217).putInt(8, 16777219);
        Quant.decode(TensorType.I32, bytes.array(), 0, values, 0, 3);
        assertArrayEquals(new float[] {-0x1p31f, 16777216, 16777220}, values);

        bytes.putLong(0, Long.MIN_VALUE).putLong(8, 1L << 40 | 1).putLong(16, -3);
        Quant.decode(TensorType.I64, bytes.array(), 0, values, 0, 3);
        assertArrayEquals(new float[] {-0x1p63f, 0x1p40f, -3}, values);
    }

    @ParameterizedTest
    @EnumSource(TensorType.class)
    void offsetsAreKeptAndNothingElseIsWritten(TensorType type) {
        int elements = 2 * type.blockElements();
        byte[] blocks = new byte[2 * type.blockBytes()];
        new Random(7).nextBytes(blocks);
        float[] plain = new float[elements];
        Quant.decode(type, blocks, 0, plain, 0, elements);

        byte[] shifted = new byte[5 + blocks.length];
        System.arraycopy(blocks, 0, shifted, 5, blocks.length);
        float[] guarded = new float[3 + elements + 4];
        Arrays.fill(guarded, 42);
        Quant.decode(type, shifted, 5, guarded, 3, elements);

        float[] expected = new float[guarded.length];
        Arrays.fill(expected, 42);
        System.arraycopy(plain, 0, expected, 3, elements);
        assertArrayEquals(expected, guarded);
    }

    @ParameterizedTest
    @EnumSource(TensorType.class)
    void shortArraysAndPartBlocksAreRefused(TensorType type) {
        int n = type.blockElements();
        byte[] bytes = new byte[type.blockBytes()];
        float[] floats = new float[n];
        Quant.decode(type, bytes, 0, floats, 0, n);
        Quant.decode(type, bytes, bytes.length, floats, n, 0);
        refused("byte array", () -> Quant.decode(type, bytes, 1, floats, 0, n));
        refused("byte array", () -> Quant.decode(type, bytes, -1, floats, 0, n));
        refused("byte array", () -> Quant.decode(type, bytes, Integer.MAX_VALUE, floats, 0, n));
        refused("byte array", () -> Quant.decode(type, bytes, 0, floats, 0, 2 * n));
        refused("float array", () -> Quant.decode(type, bytes, 0, floats, 1, n));
        refused("float array", () -> Quant.decode(type, bytes, 0, floats, -1, n));
        refused("float array", () -> Quant.decode(type, bytes, 0, floats, Integer.MAX_VALUE, n));
        refused("whole " + type, () -> Quant.decode(type, bytes, 0, floats, 0, -n));
        if (n > 1) {
            refused("whole " + type, () -> Quant.decode(type, bytes, 0, floats, 0, n - 1));
        }
    }

    private static void refused(String words, Runnable call) {
        IllegalArgumentException e = assertThrows(IllegalArgumentException.class, call::run);
        assertTrue(e.getMessage().contains(words), e.getMessage());
    }
}
