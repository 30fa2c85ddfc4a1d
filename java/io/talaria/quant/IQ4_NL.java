package io.talaria.quant;

/**
 * IQ4_NL: 32 elements of 4 bits that index a table of 16 unevenly spaced values, with one scale, 18 bytes.
 *
 * <pre>
 * bytes  0..1   half d
 * bytes  2..17  byte i: element i in bits 0..3, element i + 16 in bits 4..7
 * value = d * VALUES[q]
 * </pre>
 */
final class IQ4_NL implements BlockFormat {
    /** What each 4-bit index stands for. IQ4_XS shares the table. */
    static final float[] VALUES = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

    @Override
    public void decode(byte[] block, int at, float[] target, int targetAt) {
        float d = Halves.get(block, at);
        for (int i = 0; i < 16; i++) {
            int packed = block[at + 2 + i];
            target[targetAt + i] = d * VALUES[packed & 0x0F];
            target[targetAt + 16 + i] = d * VALUES[packed >> 4 & 0x0F];
        }
    }
}
