package io.talaria.quant;

/**
 * Q2_K: 256 elements of 2 bits in 16 sub-blocks of 16, each with a 4-bit scale and a 4-bit minimum, 84 bytes.
 *
 * <pre>
 * bytes  0..15  byte s: sub-block s, its scale in bits 0..3, its minimum in bits 4..7
 * bytes 16..79  two runs of 32 bytes, one per half of the block; in each, byte i holds four elements of that half:
 *               i in bits 0..1, i + 32 in bits 2..3, i + 64 in bits 4..5, i + 96 in bits 6..7
 * bytes 80..81  half d
 * bytes 82..83  half dmin
 * value = d * scale * q - dmin * minimum
 * </pre>
 */
final class Q2_K implements BlockFormat {
    @Override
    public void decode(byte[] block, int at, float[] target, int targetAt) {
        float d = Halves.get(block, at + 80);
        float dmin = Halves.get(block, at + 82);
        for (int s = 0; s < 16; s++) {
            int packedScale = block[at + s];
            float scale = d * (packedScale & 0x0F);
            float minimum = dmin * (packedScale >> 4 & 0x0F);
            int quants = at + 16 + s / 8 * 32 + s % 2 * 16;
            int shift = s % 8 / 2 * 2;
            for (int i = 0; i < 16; i++) {
                target[targetAt + s * 16 + i] = scale * (block[quants + i] >> shift & 3) - minimum;
            }
        }
    }
}
