package io.talaria.quant;

/** Little-endian binary16 numbers in byte arrays. */
final class Halves {
    private Halves() {}

    static float get(byte[] source, int at) {
        return Float.float16ToFloat((short) ((source[at] & 0xFF) | source[at + 1] << 8));
    }

    /** The nearest half, ties to even. */
    static float round(float value) {
        return Float.float16ToFloat(Float.floatToFloat16(value));
    }

    /** The nearest half of which {@code most} times reaches {@code largest} nearly, or the next one above in magnitude. */
    static float unit(float largest, float most) {
        short half = Float.floatToFloat16(largest / most);
        // Only very small halves, which have few bits, can be so far off.
        boolean below = Math.abs(largest) > (Math.abs(most) + 0.5f) * Math.abs(Float.float16ToFloat(half));
        return Float.float16ToFloat(below ? (short) (half + 1) : half);
    }

    /** Stores {@code value} rounded to the nearest half, ties to even; beyond 65,504 that is an infinity. */
    static void put(byte[] target, int at, float value) {
        short half = Float.floatToFloat16(value);
        target[at] = (byte) half;
        target[at + 1] = (byte) (half >> 8);
    }
}
