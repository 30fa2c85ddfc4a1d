package io.talaria.quant;

/**
 * Q4_K: 256 elements of 4 bits in 8 sub-blocks of 32, each with a 6-bit scale and a 6-bit minimum, 144 bytes.
 *
 * <pre>
 * bytes  0..1    half d
 * bytes  2..3    half dmin
 * bytes  4..15   scales and minimums, see {@link KScales}
 * bytes 16..143  four runs of 32 bytes; in run r, byte i holds element i of sub-block 2 r in bits 0..3 and element i
 *                of sub-block 2 r + 1 in bits 4..7
 * value = d * scale * q - dmin * minimum
 * </pre>
 */
final class Q4_K implements BlockFormat {
    @Override
    public void decode(byte[] block, int at, float[] target, int targetAt) {
        float d = Halves.get(block, at);
        float dmin = Halves.get(block, at + 2);
        for (int s = 0; s < 8; s++) {
            float scale = d * KScales.scale(block, at + 4, s);
            float minimum = dmin * KScales.minimum(block, at + 4, s);
            int quants = at + 16 + s / 2 * 32;
            int shift = s % 2 * 4;
            for (int i = 0; i < 32; i++) {
                target[targetAt + s * 32 + i] = scale * (block[quants + i] >> shift & 0x0F) - minimum;
            }
        }
    }

    /** Encodes 256 finite values to a block of zeros. */
    static void encode(AffineEncoder encoder, float[] source, int at, byte[] block, int blockAt) {
        encoder.encode(source, at);
        encoder.put(block, blockAt);
        for (int s = 0; s < 8; s++) {
            int quants = blockAt + 16 + s / 2 * 32;
            for (int i = 0; i < 32; i++) {
                block[quants + i] |= (byte) (encoder.quant(s, i) << s % 2 * 4);
            }
        }
    }
}
