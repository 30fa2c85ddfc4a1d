package io.talaria.quant;

/**
 * Decodes tensor bytes of every GGUF type to float32, and encodes the few types that an engine writes itself.
 *
 * <p>This is the reference for all kernels: written for reading, one class per format, no tables but the formats' own.
 * Layouts are those of the GGUF format; the results are bit-equal to the float32 arithmetic of its Python package.
 * All methods are stateless and safe to call from several threads.
 */
public final class Quant {
    private static final BlockFormat Q4_0_FORMAT = new Q4_0();
    private static final BlockFormat Q4_1_FORMAT = new Q4_1();
    private static final BlockFormat Q5_0_FORMAT = new Q5_0();
    private static final BlockFormat Q5_1_FORMAT = new Q5_1();
    private static final BlockFormat Q8_0_FORMAT = new Q8_0();
    private static final BlockFormat Q2_K_FORMAT = new Q2_K();
    private static final BlockFormat Q3_K_FORMAT = new Q3_K();
    private static final BlockFormat Q4_K_FORMAT = new Q4_K();
    private static final BlockFormat Q5_K_FORMAT = new Q5_K();
    private static final BlockFormat Q6_K_FORMAT = new Q6_K();
    private static final BlockFormat IQ4_NL_FORMAT = new IQ4_NL();
    private static final BlockFormat IQ4_XS_FORMAT = new IQ4_XS();

    private Quant() {}

    /**
     * Decodes {@code elements} consecutive elements to float32.
     *
     * @param type the elements' type
     * @param source holds the encoded bytes
     * @param at where in {@code source} the first block begins
     * @param target receives the values
     * @param targetAt where in {@code target} the first value goes
     * @param elements how many; a multiple of {@link TensorType#blockElements()}
     * @throws IllegalArgumentException if the elements do not fill whole blocks or either array is too short
     */
    public static void decode(TensorType type, byte[] source, int at, float[] target, int targetAt, int elements) {
        check(type, source.length, at, target.length, targetAt, elements);
        if (!type.quantised()) {
            PlainNumbers.decode(type, source, at, target, targetAt, elements);
            return;
        }
        BlockFormat format = format(type);
        int blocks = elements / type.blockElements();
        for (int b = 0; b < blocks; b++) {
            format.decode(source, at + b * type.blockBytes(), target, targetAt + b * type.blockElements());
        }
    }

    /**
     * Encodes {@code elements} float32 values as F16 or BF16 (nearest, ties to even) or Q8_0.
     *
     * <p>Q8_0 takes a scale of max|x| / 127 per 32 values, stored as the nearest half, and quants of x times the
     * inverse of the unrounded scale, rounded half away from zero. A NaN or an infinity makes its block decode to NaN.
     *
     * @param type F16, BF16 or Q8_0
     * @param source holds the values
     * @param at where in {@code source} the first value is
     * @param target receives the encoded bytes
     * @param targetAt where in {@code target} the first block begins
     * @param elements how many; a multiple of {@link TensorType#blockElements()}
     * @throws IllegalArgumentException if the type has no encoder here, the elements do not fill whole blocks, or
     *     either array is too short
     */
    public static void encode(TensorType type, float[] source, int at, byte[] target, int targetAt, int elements) {
        check(type, target.length, targetAt, source.length, at, elements);
        switch (type) {
            case F32 -> PlainNumbers.encodeF32(source, at, target, targetAt, elements);
            case F16 -> PlainNumbers.encodeF16(source, at, target, targetAt, elements);
            case BF16 -> PlainNumbers.encodeBf16(source, at, target, targetAt, elements);
            case Q8_0 -> {
                for (int b = 0; b < elements / 32; b++) {
                    Q8_0.encode(source, at + b * 32, target, targetAt + b * type.blockBytes());
                }
            }
            default ->
                throw new IllegalArgumentException(
                        "There is no encoder for " + type + "; values can be encoded as F16, BF16 or Q8_0");
        }
    }

    private static BlockFormat format(TensorType type) {
        return switch (type) {
            case Q4_0 -> Q4_0_FORMAT;
            case Q4_1 -> Q4_1_FORMAT;
            case Q5_0 -> Q5_0_FORMAT;
            case Q5_1 -> Q5_1_FORMAT;
            case Q8_0 -> Q8_0_FORMAT;
            case Q2_K -> Q2_K_FORMAT;
            case Q3_K -> Q3_K_FORMAT;
            case Q4_K -> Q4_K_FORMAT;
            case Q5_K -> Q5_K_FORMAT;
            case Q6_K -> Q6_K_FORMAT;
            case IQ4_NL -> IQ4_NL_FORMAT;
            case IQ4_XS -> IQ4_XS_FORMAT;
            case F32, F16, BF16, F64, I8, I16, I32, I64 -> throw new IllegalArgumentException(type + " has no blocks");
        };
    }

    private static void check(TensorType type, int byteCount, int bytesAt, int floatCount, int floatsAt, int elements) {
        if (elements < 0 || elements % type.blockElements() != 0) {
            throw new IllegalArgumentException(elements + " elements do not fill whole " + type + " blocks of "
                    + type.blockElements() + "; give a multiple of that");
        }
        long bytes = type.bytes(elements);
        if (bytesAt < 0 || bytesAt + bytes > byteCount) {
            throw new IllegalArgumentException(elements + " elements of " + type + " take " + bytes
                    + " bytes from offset " + bytesAt + ", but the byte array has " + byteCount);
        }
        if (floatsAt < 0 || (long) floatsAt + elements > floatCount) {
            throw new IllegalArgumentException(elements + " elements of " + type + " take as many floats from offset "
                    + floatsAt + ", but the float array has " + floatCount);
        }
    }
}
