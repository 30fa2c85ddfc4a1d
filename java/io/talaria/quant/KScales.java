package io.talaria.quant;

/**
 * The 12 bytes in which Q4_K and Q5_K keep the 6-bit scales and 6-bit minimums of eight sub-blocks.
 *
 * <pre>
 * bytes 0..3   byte j: scale j in bits 0..5, bits 4..5 of scale j + 4 in bits 6..7
 * bytes 4..7   byte j: minimum j in bits 0..5, bits 4..5 of minimum j + 4 in bits 6..7
 * bytes 8..11  byte j: bits 0..3 of scale j + 4 in bits 0..3, of minimum j + 4 in bits 4..7
 * </pre>
 */
final class KScales {
    private KScales() {}

    /** The scale of sub-block {@code s}, 0 to 63; {@code at} is where the 12 bytes begin. */
    static int scale(byte[] block, int at, int s) {
        if (s < 4) {
            return block[at + s] & 0x3F;
        }
        return block[at + 4 + s] & 0x0F | (block[at + s - 4] >> 6 & 3) << 4;
    }

    /** The minimum of sub-block {@code s}, 0 to 63; {@code at} is where the 12 bytes begin. */
    static int minimum(byte[] block, int at, int s) {
        if (s < 4) {
            return block[at + 4 + s] & 0x3F;
        }
        return block[at + 4 + s] >> 4 & 0x0F | (block[at + s] >> 6 & 3) << 4;
    }

    /** Sets the scale and the minimum of sub-block {@code s}, each 0 to 63, in 12 bytes that begin as zeros. */
    static void put(byte[] block, int at, int s, int scale, int minimum) {
        if (s < 4) {
            block[at + s] |= (byte) scale;
            block[at + 4 + s] |= (byte) minimum;
        } else {
            block[at + 4 + s] = (byte) (scale & 0x0F | minimum << 4);
            block[at + s - 4] |= (byte) (scale >> 4 << 6);
            block[at + s] |= (byte) (minimum >> 4 << 6);
        }
    }
}
