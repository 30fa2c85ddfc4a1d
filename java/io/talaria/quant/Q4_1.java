package io.talaria.quant;

/**
 * Q4_1: 32 elements of 4 bits with a scale and a minimum, 20 bytes.
 *
 * <pre>
 * bytes  0..1   half d
 * bytes  2..3   half m
 * bytes  4..19  byte i: element i in bits 0..3, element i + 16 in bits 4..7
 * value = d * q + m
 * </pre>
 */
final class Q4_1 implements BlockFormat {
    @Override
    public void decode(byte[] block, int at, float[] target, int targetAt) {
        float d = Halves.get(block, at);
        float m = Halves.get(block, at + 2);
        for (int i = 0; i < 16; i++) {
            int packed = block[at + 4 + i];
            target[targetAt + i] = d * (packed & 0x0F) + m;
            target[targetAt + 16 + i] = d * (packed >> 4 & 0x0F) + m;
        }
    }
}
