package io.talaria.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class QuantEncodeTest {
    @Test
    void everyHalfAndBfloat16SurvivesARoundTrip() {
        for (TensorType type : new TensorType[] {TensorType.F16, TensorType.BF16}) {
            byte[] original = new byte[2 << 16];
            for (int i = 0; i < 1 << 16; i++) {
                original[2 * i] = (byte) i;
                original[2 * i + 1] = (byte) (i >> 8);
            }
            float[] values = new float[1 << 16];
            Quant.decode(type, original, 0, values, 0, 1 << 16);
            byte[] again = new byte[original.length];
            Quant.encode(type, values, 0, again, 0, 1 << 16);
            for (int i = 0; i < 1 << 16; i++) {
                if (Float.isNaN(values[i])) {
                    float[] one = new float[1];
                    Quant.decode(type, again, 2 * i, one, 0, 1);
                    assertTrue(Float.isNaN(one[0]), type + " NaN " + i);
                } else {
                    assertEquals(original[2 * i], again[2 * i], type + " " + i);
                    assertEquals(original[2 * i + 1], again[2 * i + 1], type + " " + i);
                }
            }
        }
    }

    /** Between two neighbours: below the middle, at it (to the even one) and above it, for every pair of neighbours. */
    @Test
    void roundsToTheNearestAndTiesToEven() {
        for (TensorType type : new TensorType[] {TensorType.F16, TensorType.BF16}) {
            int last = type == TensorType.F16 ? 0x7BFF : 0x7F7F;
            for (int sign = 0; sign <= 0x8000; sign += 0x8000) {
                for (int i = 0; i < last; i++) {
                    float low = decode(type, sign | i);
                    float high = decode(type, sign | i + 1);
                    float middle = (float) (((double) low + high) / 2);
                    float before = sign == 0 ? Math.nextDown(middle) : Math.nextUp(middle);
                    float after = sign == 0 ? Math.nextUp(middle) : Math.nextDown(middle);
                    assertEquals(sign | i, encode(type, before));
                    assertEquals(sign | i + i % 2, encode(type, middle));
                    assertEquals(sign | i + 1, encode(type, after));
                }
            }
            assertEquals(last + 1, encode(type, Float.POSITIVE_INFINITY));
        }
        assertEquals(0x7BFF, encode(TensorType.F16, Math.nextDown(65520f)));
        assertEquals(0x7C00, encode(TensorType.F16, 65520f));
        assertEquals(0x7F80, encode(TensorType.BF16, Float.MAX_VALUE));
        assertTrue(Float.isNaN(decode(TensorType.BF16, encode(TensorType.BF16, Float.intBitsToFloat(0x7F800001)))));
        assertTrue(Float.isNaN(decode(TensorType.BF16, encode(TensorType.BF16, Float.intBitsToFloat(0xFFFFFFFF)))));
    }

    /** Against the definition, with the rounding of products and quotients in float32 and of quants in decimal. */
    @Test
    void q8BlocksFollowTheDefinition() {
        Random random = new Random(8);
        float[] source = new float[32];
        for (int round = 0; round < 20_000; round++) {
            float size = (float) Math.scalb(1 + random.nextDouble(), random.nextInt(30) - 20);
            for (int i = 0; i < 32; i++) {
                source[i] = (float) random.nextGaussian() * size;
            }
            // Quants that fall on halves exactly: a largest value of 127 makes the scale 1.
            if (round % 4 == 0) {
                for (int i = 0; i < 32; i++) {
                    source[i] = (random.nextInt(507) - 253) / 2f;
                }
                source[random.nextInt(32)] = random.nextBoolean() ? 127 : -127;
            }
            // Scales in the middle between two halves, where an inexact division by 127 would show.
            if (round % 4 == 1) {
                source[0] = 127 * (1 + (2 * random.nextInt(1024) + 1) * 0x1p-11f);
                for (int i = 1; i < 32; i++) {
                    source[i] = (2 * random.nextFloat() - 1) * source[0];
                }
            }
            // Values a few units in the last place around the border between two quants.
            if (round % 4 == 2) {
                source[0] = size;
                for (int i = 1; i < 32; i++) {
                    source[i] = (random.nextInt(127) + 0.5f) * (size / 127);
                    source[i] = Float.intBitsToFloat(Float.floatToIntBits(source[i]) + random.nextInt(5) - 2);
                }
            }
            assertArrayEquals(expectedQ8(source), encodeQ8(source));
        }
    }

    private static byte[] expectedQ8(float[] source) {
        float max = 0;
        for (float value : source) {
            max = Math.abs(value) > max ? Math.abs(value) : max;
        }
        float d = max / 127f;
        float inverse = d == 0 ? 0 : 1f / d;
        ByteBuffer block = ByteBuffer.allocate(34).order(ByteOrder.LITTLE_ENDIAN);
        block.putShort(Float.floatToFloat16(d));
        for (float value : source) {
            block.put(new BigDecimal(value * inverse)
                    .setScale(0, RoundingMode.HALF_UP)
                    .byteValueExact());
        }
        return block.array();
    }

    @Test
    void q8EdgeCases() {
        assertArrayEquals(new byte[34], encodeQ8(new float[32]));

        float[] largestBelowHalf = new float[32];
        largestBelowHalf[0] = 127;
        largestBelowHalf[1] = Math.nextDown(0.5f);
        largestBelowHalf[2] = 0.5f;
        largestBelowHalf[3] = -0.5f;
        byte[] block = encodeQ8(largestBelowHalf);
        assertArrayEquals(new byte[] {127, 0, 1, -1}, new byte[] {block[2], block[3], block[4], block[5]});

        for (float poison : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            float[] poisoned = new float[32];
            poisoned[5] = 1;
            poisoned[17] = poison;
            float[] decoded = new float[32];
            Quant.decode(TensorType.Q8_0, encodeQ8(poisoned), 0, decoded, 0, 32);
            for (float value : decoded) {
                assertTrue(Float.isNaN(value), "a poisoned block decodes to NaN, not to " + value);
            }
        }

        float[] tiny = new float[32];
        tiny[0] = Float.MIN_VALUE;
        float[] decoded = new float[32];
        Quant.decode(TensorType.Q8_0, encodeQ8(tiny), 0, decoded, 0, 32);
        assertArrayEquals(new float[32], decoded);
    }

    @Test
    void offsetsAreKeptAndNothingElseIsWritten() {
        float[] source = new float[2 + 64];
        for (int i = 0; i < 64; i++) {
            source[2 + i] = i - 20;
        }
        byte[] target = new byte[3 + 68 + 1];
        target[2] = 99;
        target[71] = 98;
        Quant.encode(TensorType.Q8_0, source, 2, target, 3, 64);
        assertEquals(99, target[2]);
        assertEquals(98, target[71]);
        float[] decoded = new float[64];
        Quant.decode(TensorType.Q8_0, target, 3, decoded, 0, 64);
        for (int i = 0; i < 64; i++) {
            assertEquals(i - 20, decoded[i], 0.25f);
        }
    }

    @Test
    void typesWithoutAnEncoderAreRefused() {
        Set<TensorType> encoded = EnumSet.copyOf(EncoderTest.TYPES);
        encoded.addAll(List.of(TensorType.F32, TensorType.F16, TensorType.BF16, TensorType.Q8_0));
        for (TensorType type : TensorType.values()) {
            assertEquals(encoded.contains(type), Quant.encodes(type));
            if (encoded.contains(type)) {
                continue;
            }
            IllegalArgumentException e = assertThrows(
                    IllegalArgumentException.class,
                    () -> Quant.encode(type, new float[256], 0, new byte[2048], 0, 256),
                    type.name());
            assertTrue(e.getMessage().contains("no encoder for " + type), e.getMessage());
        }
        assertThrows(
                IllegalArgumentException.class,
                () -> Quant.encode(TensorType.Q8_0, new float[64], 0, new byte[67], 0, 64));
        assertThrows(
                IllegalArgumentException.class, () -> Quant.encode(TensorType.F16, new float[4], 1, new byte[8], 0, 4));
    }

    private static byte[] encodeQ8(float[] source) {
        byte[] block = new byte[34];
        Quant.encode(TensorType.Q8_0, source, 0, block, 0, 32);
        return block;
    }

    private static float decode(TensorType type, int bits) {
        float[] value = new float[1];
        Quant.decode(type, new byte[] {(byte) bits, (byte) (bits >> 8)}, 0, value, 0, 1);
        return value[0];
    }

    private static int encode(TensorType type, float value) {
        byte[] bytes = new byte[2];
        Quant.encode(type, new float[] {value}, 0, bytes, 0, 1);
        return bytes[0] & 0xFF | (bytes[1] & 0xFF) << 8;
    }
}
