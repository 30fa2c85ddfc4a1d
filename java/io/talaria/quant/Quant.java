package io.talaria.quant;

import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;

/**
 * Decodes tensor bytes of every GGUF type to float32, and encodes those that every device runs.
 *
 * <p>This is the reference for all kernels: written for reading, one class per format, no tables but the formats' own.
 * Layouts are those of the GGUF format; the results are bit-equal to the float32 arithmetic of its Python package.
 * All methods are stateless and safe to call from several threads.
 */
public final class Quant {
    private static final Set<TensorType> ENCODED = Collections.unmodifiableSet(EnumSet.of(
            TensorType.F32,
            TensorType.F16,
            TensorType.BF16,
            TensorType.Q8_0,
            TensorType.Q4_0,
            TensorType.Q4_K,
            TensorType.Q5_K,
            TensorType.Q6_K));
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
     * Encodes {@code elements} float32 values.
     *
     * <p>F16 and BF16 round to the nearest, ties to even. Q8_0 takes a scale of max|x| / 127 per 32 values, stored as the
     * nearest half, and quants of x times the inverse of the unrounded scale, rounded half away from zero. Q4_0, Q4_K,
     * Q5_K and Q6_K look for the scales that make the squared error small: Q4_0 of all values alike, the others with more
     * weight on large ones. A NaN or an infinity makes its block decode to NaN.
     *
     * @param type F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K or Q6_K
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
            default -> {
                BlockEncoder encoder = encoder(type);
                int block = type.blockElements();
                Arrays.fill(target, targetAt, targetAt + elements / block * type.blockBytes(), (byte) 0);
                for (int b = 0; b < elements / block; b++) {
                    int sourceAt = at + b * block;
                    int blockAt = targetAt + b * type.blockBytes();
                    if (finite(source, sourceAt, block)) {
                        encoder.encode(source, sourceAt, target, blockAt);
                    } else {
                        poison(type, target, blockAt);
                    }
                }
            }
        }
    }

    /** True for the types that {@link #encode} takes. */
    public static boolean encodes(TensorType type) {
        return ENCODED.contains(type);
    }

    private static BlockEncoder encoder(TensorType type) {
        return switch (type) {
            case Q8_0 -> Q8_0::encode;
            case Q4_0 -> {
                Q4_0Encoder encoder = new Q4_0Encoder();
                yield (source, at, block, blockAt) -> Q4_0.encode(encoder, source, at, block, blockAt);
            }
            case Q4_K -> {
                AffineEncoder encoder = new AffineEncoder(15);
                yield (source, at, block, blockAt) -> Q4_K.encode(encoder, source, at, block, blockAt);
            }
            case Q5_K -> {
                AffineEncoder encoder = new AffineEncoder(31);
                yield (source, at, block, blockAt) -> Q5_K.encode(encoder, source, at, block, blockAt);
            }
            case Q6_K -> {
                SignedEncoder encoder = new SignedEncoder();
                yield (source, at, block, blockAt) -> Q6_K.encode(encoder, source, at, block, blockAt);
            }
            default ->
                throw new IllegalArgumentException(
                        "There is no encoder for " + type + "; values can be encoded as one of " + ENCODED);
        };
    }

    private static boolean finite(float[] values, int at, int count) {
        float sum = 0;
        for (int i = at; i < at + count; i++) {
            sum += values[i] * 0; // 0 unless it is a NaN or an infinity
        }
        return sum == 0;
    }

    /** Makes a block of zeros one whose every value is NaN, so that it is noticed instead of being clipped. */
    private static void poison(TensorType type, byte[] target, int blockAt) {
        int d = type == TensorType.Q6_K ? blockAt + type.blockBytes() - 2 : blockAt;
        Halves.put(target, d, Float.NaN);
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
