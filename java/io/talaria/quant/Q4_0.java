package io.talaria.quant;

/**
 * Q4_0: 32 elements of 4 bits with one scale, 18 bytes.
 *
 * <pre>
 * bytes  0..1   half d
 * bytes  2..17  byte i: element i in bits 0..3, element i + 16 in bits 4..7
 * value = d * (q - 8)
 * </pre>
 */
final class Q4_0 implements BlockFormat {
    @Override
    public void decode(byte[] block, int at, float[] target, int targetAt) {
        float d = Halves.get(block, at);
        for (int i = 0; i < 16; i++) {
            int packed = block[at + 2 + i];
            target[targetAt + i] = d * ((packed & 0x0F) - 8);
            target[targetAt + 16 + i] = d * ((packed >> 4 & 0x0F) - 8);
        }
    }

    /** Encodes 32 finite values. */
    static void encode(Q4_0Encoder encoder, float[] source, int at, byte[] block, int blockAt) {
        float d = encoder.encode(source, at);
        Halves.put(block, blockAt, d);
        for (int i = 0; i < 16; i++) {
            block[blockAt + 2 + i] = (byte) (encoder.quant(i) + 8 | encoder.quant(i + 16) + 8 << 4);
        }
    }
}
