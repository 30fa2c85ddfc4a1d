package io.talaria.quant;

/**
 * Q5_0: 32 elements of 5 bits with one scale, 22 bytes.
 *
 * <pre>
 * bytes  0..1   half d
 * bytes  2..5   32-bit word: bit i is bit 4 of element i
 * bytes  6..21  byte i: bits 0..3 of element i in bits 0..3, of element i + 16 in bits 4..7
 * value = d * (q - 16)
 * </pre>
 */
final class Q5_0 implements BlockFormat {
    @Override
    public void decode(byte[] block, int at, float[] target, int targetAt) {
        float d = Halves.get(block, at);
        int high = word(block, at + 2);
        for (int i = 0; i < 16; i++) {
            int packed = block[at + 6 + i];
            target[targetAt + i] = d * ((packed & 0x0F | (high >> i & 1) << 4) - 16);
            target[targetAt + 16 + i] = d * ((packed >> 4 & 0x0F | (high >> 16 + i & 1) << 4) - 16);
        }
    }

    static int word(byte[] source, int at) {
        return source[at] & 0xFF | (source[at + 1] & 0xFF) << 8 | (source[at + 2] & 0xFF) << 16 | source[at + 3] << 24;
    }
}
