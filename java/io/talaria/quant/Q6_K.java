package io.talaria.quant;

/**
 * Q6_K: 256 elements of 6 bits in 16 sub-blocks of 16, each with a signed 8-bit scale, 210 bytes.
 *
 * <pre>
 * bytes   0..127  two runs of 64 bytes, one per half of the block; in each, byte i holds bits 0..3 of element i of
 *                 that half in bits 0..3 and of element i + 64 in bits 4..7
 * bytes 128..191  two runs of 32 bytes, one per half; in each, byte i holds bits 4..5 of four elements of that half:
 *                 i in bits 0..1, i + 32 in bits 2..3, i + 64 in bits 4..5, i + 96 in bits 6..7
 * bytes 192..207  byte s: scale of sub-block s, signed
 * bytes 208..209  half d
 * value = d * scale * (q - 32)
 * </pre>
 */
final class Q6_K implements BlockFormat {
    @Override
    public void decode(byte[] block, int at, float[] target, int targetAt) {
        float d = Halves.get(block, at + 208);
        for (int s = 0; s < 16; s++) {
            float scale = d * block[at + 192 + s];
            int low = at + s / 8 * 64 + s % 4 * 16;
            int lowShift = s % 8 / 4 * 4;
            int high = at + 128 + s / 8 * 32 + s % 2 * 16;
            int highShift = s % 8 / 2 * 2;
            for (int i = 0; i < 16; i++) {
                int q = block[low + i] >> lowShift & 0x0F | (block[high + i] >> highShift & 3) << 4;
                target[targetAt + s * 16 + i] = scale * (q - 32);
            }
        }
    }

    /** Encodes 256 finite values to a block of zeros. */
    static void encode(SignedEncoder encoder, float[] source, int at, byte[] block, int blockAt) {
        encoder.encode(source, at);
        Halves.put(block, blockAt + 208, encoder.d());
        for (int s = 0; s < 16; s++) {
            block[blockAt + 192 + s] = (byte) encoder.scale(s);
            int low = blockAt + s / 8 * 64 + s % 4 * 16;
            int lowShift = s % 8 / 4 * 4;
            int high = blockAt + 128 + s / 8 * 32 + s % 2 * 16;
            int highShift = s % 8 / 2 * 2;
            for (int i = 0; i < 16; i++) {
                int q = encoder.quant(s, i) + 32;
                block[low + i] |= (byte) ((q & 0x0F) << lowShift);
                block[high + i] |= (byte) (q >> 4 << highShift);
            }
        }
    }
}
