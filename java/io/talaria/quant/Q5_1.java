package io.talaria.quant;

/**
 * Q5_1: 32 elements of 5 bits with a scale and a minimum, 24 bytes.
 *
 * <pre>
 * bytes  0..1   half d
 * bytes  2..3   half m
 * bytes  4..7   32-bit word: bit i is bit 4 of element i
 * bytes  8..23  byte i: bits 0..3 of element i in bits 0..3, of element i + 16 in bits 4..7
 * value = d * q + m
 * </pre>
 */
final class Q5_1 implements BlockFormat {
    @Override
    public void decode(byte[] block, int at, float[] target, int targetAt) {
        float d = Halves.get(block, at);
        float m = Halves.get(block, at + 2);
        int high = Q5_0.word(block, at + 4);
        for (int i = 0; i < 16; i++) {
            int packed = block[at + 8 + i];
            target[targetAt + i] = d * (packed & 0x0F | (high >> i & 1) << 4) + m;
            target[targetAt + 16 + i] = d * (packed >> 4 & 0x0F | (high >> 16 + i & 1) << 4) + m;
        }
    }
}
