package io.talaria.quant;

/** Little-endian binary16 numbers in byte arrays. */
final class Halves {
    private Halves() {}

    static float get(byte[] source, int at) {
        return Float.float16ToFloat((short) ((source[at] & 0xFF) | source[at + 1] << 8));
    }

    /** Stores {@code value} rounded to the nearest half, ties to even; beyond 65,504 that is an infinity. */
    static void put(byte[] target, int at, float value) {
        short half = Float.floatToFloat16(value);
        target[at] = (byte) half;
        target[at + 1] = (byte) (half >> 8);
    }
}
