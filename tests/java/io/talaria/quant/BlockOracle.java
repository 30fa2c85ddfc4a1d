package io.talaria.quant;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The value of one element of one block in double precision, written down a second time and element by element, as a
 * check on the decoders, which go sub-block by sub-block.
 */
final class BlockOracle {
    private static final int[] TABLE = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

    private BlockOracle() {}

    static double value(TensorType type, byte[] bytes, int at, int e) {
        ByteBuffer b = ByteBuffer.wrap(bytes, at, type.blockBytes()).slice().order(ByteOrder.LITTLE_ENDIAN);
        return switch (type) {
            case Q4_0 -> half(b, 0) * (nibble(b, 2, e) - 8);
            case Q4_1 -> half(b, 0) * nibble(b, 4, e) + half(b, 2);
            case Q5_0 -> half(b, 0) * (nibble(b, 6, e) + 16 * bits(b, 8 * 2 + e, 1) - 16);
            case Q5_1 -> half(b, 0) * (nibble(b, 8, e) + 16 * bits(b, 8 * 4 + e, 1)) + half(b, 2);
            case Q8_0 -> half(b, 0) * b.get(2 + e);
            case Q2_K ->
                half(b, 80) * bits(b, 8 * (e / 16), 4) * crumb(b, 16, e) - half(b, 82) * bits(b, 8 * (e / 16) + 4, 4);
            case Q3_K ->
                half(b, 108)
                        * (q3Scale(b, e / 16) - 32)
                        * (crumb(b, 32, e) + 4 * bits(b, 8 * (e % 32) + e / 32, 1) - 4);
            case Q4_K -> half(b, 0) * kScale(b, e / 32) * runNibble(b, 16, 32, e) - half(b, 2) * kMinimum(b, e / 32);
            case Q5_K ->
                half(b, 0) * kScale(b, e / 32) * (runNibble(b, 48, 32, e) + 16 * bits(b, 8 * (16 + e % 32) + e / 32, 1))
                        - half(b, 2) * kMinimum(b, e / 32);
            case Q6_K -> half(b, 208) * b.get(192 + e / 16) * (runNibble(b, 0, 64, e) + 16 * crumb(b, 128, e) - 32);
            case IQ4_NL -> half(b, 0) * TABLE[nibble(b, 2, e)];
            case IQ4_XS ->
                half(b, 0)
                        * (bits(b, 32 + 4 * (e / 32), 4) + 16 * bits(b, 16 + 2 * (e / 32), 2) - 32)
                        * TABLE[runNibble(b, 8, 16, e)];
            default -> throw new IllegalArgumentException(type + " has no blocks");
        };
    }

    /** A half by its definition: sign, 5 bits of exponent, 10 of fraction. */
    static double half(ByteBuffer b, int at) {
        int bits = b.getShort(at) & 0xFFFF;
        int exponent = bits >> 10 & 31;
        int fraction = bits & 1023;
        double sign = bits >> 15 == 0 ? 1 : -1;
        if (exponent == 31) {
            return fraction == 0 ? sign / 0.0 : Double.NaN;
        }
        return sign
                * (exponent == 0
                        ? fraction / 1024.0 * 0x1p-14
                        : (1 + fraction / 1024.0) * Math.scalb(1, exponent - 15));
    }

    /** {@code count} bits from the bit with this number on, counted from bit 0 of byte 0; never across a byte. */
    private static int bits(ByteBuffer b, int bit, int count) {
        return (b.get(bit / 8) & 0xFF) >> bit % 8 & (1 << count) - 1;
    }

    private static int nibble(ByteBuffer b, int at, int e) {
        return runNibble(b, at, 16, e);
    }

    /** Runs of bytes; the low nibbles of a run come before its high ones. */
    private static int runNibble(ByteBuffer b, int at, int run, int e) {
        int inRun = e % (2 * run);
        return bits(b, 8 * (at + e / (2 * run) * run + inRun % run) + inRun / run * 4, 4);
    }

    /** Runs of 32 bytes with 128 elements of two bits. */
    private static int crumb(ByteBuffer b, int at, int e) {
        return bits(b, 8 * (at + e / 128 * 32 + e % 32) + e % 128 / 32 * 2, 2);
    }

    private static int q3Scale(ByteBuffer b, int s) {
        return bits(b, 8 * (96 + s % 8) + s / 8 * 4, 4) + 16 * bits(b, 8 * (104 + s % 4) + s / 4 * 2, 2);
    }

    private static int kScale(ByteBuffer b, int s) {
        return s < 4 ? bits(b, 8 * (4 + s), 6) : bits(b, 8 * (12 + s - 4), 4) + 16 * bits(b, 8 * (4 + s - 4) + 6, 2);
    }

    private static int kMinimum(ByteBuffer b, int s) {
        return s < 4
                ? bits(b, 8 * (8 + s), 6)
                : bits(b, 8 * (12 + s - 4) + 4, 4) + 16 * bits(b, 8 * (8 + s - 4) + 6, 2);
    }
}
