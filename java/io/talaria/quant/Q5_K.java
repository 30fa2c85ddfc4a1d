package io.talaria.quant;

/**
 * Q5_K: 256 elements of 5 bits in 8 sub-blocks of 32, each with a 6-bit scale and a 6-bit minimum, 176 bytes.
 *
 * <pre>
 * bytes  0..1    half d
 * bytes  2..3    half dmin
 * bytes  4..15   scales and minimums, see {@link KScales}
 * bytes 16..47   byte i: bit s is bit 4 of element i of sub-block s
 * bytes 48..175  four runs of 32 bytes; in run r, byte i holds bits 0..3 of element i of sub-block 2 r in bits 0..3
 *                and of element i of sub-block 2 r + 1 in bits 4..7
 * value = d * scale * q - dmin * minimum
 * </pre>
 */
final class Q5_K implements BlockFormat {
    @Override
    public void decode(byte[] block, int at, float[] target, int targetAt) {
        float d = Halves.get(block, at);
        float dmin = Halves.get(block, at + 2);
        for (int s = 0; s < 8; s++) {
            float scale = d * KScales.scale(block, at + 4, s);
            float minimum = dmin * KScales.minimum(block, at + 4, s);
            int highBits = at + 16;
            int quants = at + 48 + s / 2 * 32;
            int shift = s % 2 * 4;
            for (int i = 0; i < 32; i++) {
                int q = block[quants + i] >> shift & 0x0F | (block[highBits + i] >> s & 1) << 4;
                target[targetAt + s * 32 + i] = scale * q - minimum;
            }
        }
    }

    /** Encodes 256 finite values to a block of zeros. */
    static void encode(AffineEncoder encoder, float[] source, int at, byte[] block, int blockAt) {
        encoder.encode(source, at);
        encoder.put(block, blockAt);
        for (int s = 0; s < 8; s++) {
            int quants = blockAt + 48 + s / 2 * 32;
            for (int i = 0; i < 32; i++) {
                int q = encoder.quant(s, i);
                block[quants + i] |= (byte) ((q & 0x0F) << s % 2 * 4);
                block[blockAt + 16 + i] |= (byte) (q >> 4 << s);
            }
        }
    }
}
