package io.talaria.quant;

/**
 * Q3_K: 256 elements of 3 bits in 16 sub-blocks of 16, each with a 6-bit scale, 110 bytes.
 *
 * <pre>
 * bytes   0..31   byte i: bit k is bit 2 of element i + 32 k
 * bytes  32..95   two runs of 32 bytes, one per half of the block; in each, byte i holds bits 0..1 of four elements
 *                 of that half: i in bits 0..1, i + 32 in bits 2..3, i + 64 in bits 4..5, i + 96 in bits 6..7
 * bytes  96..103  byte j: bits 0..3 of scale j in bits 0..3, of scale j + 8 in bits 4..7
 * bytes 104..107  byte j: bits 4..5 of scale j in bits 0..1, of j + 4 in bits 2..3, of j + 8 in bits 4..5, of j + 12
 *                 in bits 6..7
 * bytes 108..109  half d
 * value = d * (scale - 32) * (q - 4)
 * </pre>
 */
final class Q3_K implements BlockFormat {
    @Override
    public void decode(byte[] block, int at, float[] target, int targetAt) {
        float d = Halves.get(block, at + 108);
        for (int s = 0; s < 16; s++) {
            int low = block[at + 96 + s % 8] >> s / 8 * 4 & 0x0F;
            int high = block[at + 104 + s % 4] >> s / 4 * 2 & 3;
            float scale = d * ((low | high << 4) - 32);
            int quants = at + 32 + s / 8 * 32 + s % 2 * 16;
            int highBits = at + s % 2 * 16;
            int shift = s % 8 / 2 * 2;
            int bit = s / 2;
            for (int i = 0; i < 16; i++) {
                int q = block[quants + i] >> shift & 3 | (block[highBits + i] >> bit & 1) << 2;
                target[targetAt + s * 16 + i] = scale * (q - 4);
            }
        }
    }
}
