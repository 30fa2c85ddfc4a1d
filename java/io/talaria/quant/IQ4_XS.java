package io.talaria.quant;

/**
 * IQ4_XS: 256 elements of 4 bits that index IQ4_NL's table, in 8 sub-blocks of 32, each with a 6-bit scale, 136 bytes.
 *
 * <pre>
 * bytes 0..1    half d
 * bytes 2..3    16-bit word: bits 2 s .. 2 s + 1 are bits 4..5 of scale s
 * bytes 4..7    byte j: bits 0..3 of scale 2 j in bits 0..3, of scale 2 j + 1 in bits 4..7
 * bytes 8..135  eight runs of 16 bytes; in run s, byte i holds element i of sub-block s in bits 0..3 and element
 *               i + 16 in bits 4..7
 * value = d * (scale - 32) * VALUES[q]
 * </pre>
 */
final class IQ4_XS implements BlockFormat {
    @Override
    public void decode(byte[] block, int at, float[] target, int targetAt) {
        float d = Halves.get(block, at);
        for (int s = 0; s < 8; s++) {
            int low = block[at + 4 + s / 2] >> s % 2 * 4 & 0x0F;
            int high = block[at + 2 + s / 4] >> s % 4 * 2 & 3;
            float scale = d * ((low | high << 4) - 32);
            int quants = at + 8 + s * 16;
            for (int i = 0; i < 16; i++) {
                int packed = block[quants + i];
                target[targetAt + s * 32 + i] = scale * IQ4_NL.VALUES[packed & 0x0F];
                target[targetAt + s * 32 + 16 + i] = scale * IQ4_NL.VALUES[packed >> 4 & 0x0F];
            }
        }
    }
}
