package io.talaria.quant;

/**
 * Q8_0: 32 elements of 8 bits with one scale, 34 bytes.
 *
 * <pre>
 * bytes  0..1   half d
 * bytes  2..33  byte i: element i, signed
 * value = d * q
 * </pre>
 */
final class Q8_0 implements BlockFormat {
    @Override
    public void decode(byte[] block, int at, float[] target, int targetAt) {
        float d = Halves.get(block, at);
        for (int i = 0; i < 32; i++) {
            target[targetAt + i] = d * block[at + 2 + i];
        }
    }

    /**
     * Encodes 32 elements: d = max|x| / 127, q = x * (1 / d) rounded half away from zero. The quotient uses d as
     * computed in float32, not the half that is stored. A NaN or an infinity among the elements makes the decoded
     * block NaN throughout, so that it is noticed later instead of being clipped.
     */
    static void encode(float[] source, int at, byte[] block, int blockAt) {
        float max = 0;
        for (int i = 0; i < 32; i++) {
            max = Math.max(max, Math.abs(source[at + i]));
        }
        float d = max / 127;
        float inverse = d != 0 ? 1 / d : 0;
        Halves.put(block, blockAt, d);
        for (int i = 0; i < 32; i++) {
            block[blockAt + 2 + i] = (byte) roundHalfAwayFromZero(source[at + i] * inverse);
        }
    }

    // In double, because adding 0.5 in float32 would carry the largest float below 0.5 up to 1.
    private static int roundHalfAwayFromZero(float value) {
        int magnitude = (int) (Math.abs((double) value) + 0.5);
        return value < 0 ? -Math.min(magnitude, 127) : Math.min(magnitude, 127);
    }
}
