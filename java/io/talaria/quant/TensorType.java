package io.talaria.quant;

import java.util.Optional;

/**
 * The element types of a GGUF tensor: their number in the file, how many elements share a block, and a block's bytes.
 *
 * <p>Types that GGUF has removed (4, 5, 31 to 33, 36 to 38) and those that Talaria does not read are absent, so
 * {@link #byId} tells a known type from an unknown one.
 */
public enum TensorType {
    F32(0, 1, 4),
    F16(1, 1, 2),
    Q4_0(2, 32, 18),
    Q4_1(3, 32, 20),
    Q5_0(6, 32, 22),
    Q5_1(7, 32, 24),
    Q8_0(8, 32, 34),
    Q2_K(10, 256, 84),
    Q3_K(11, 256, 110),
    Q4_K(12, 256, 144),
    Q5_K(13, 256, 176),
    Q6_K(14, 256, 210),
    IQ4_NL(20, 32, 18),
    IQ4_XS(23, 256, 136),
    I8(24, 1, 1),
    I16(25, 1, 2),
    I32(26, 1, 4),
    I64(27, 1, 8),
    F64(28, 1, 8),
    BF16(30, 1, 2);

    private final int id;
    private final int blockElements;
    private final int blockBytes;

    TensorType(int id, int blockElements, int blockBytes) {
        this.id = id;
        this.blockElements = blockElements;
        this.blockBytes = blockBytes;
    }

    /** The type's number in a GGUF file. */
    public int id() {
        return id;
    }

    /** Elements per block; 1 for plain number types. */
    public int blockElements() {
        return blockElements;
    }

    /** Bytes per block. */
    public int blockBytes() {
        return blockBytes;
    }

    /** True for the types that hold several elements in a block with shared scales. */
    public boolean quantised() {
        return blockElements > 1;
    }

    /**
     * The bytes of {@code elements} consecutive elements.
     *
     * @throws ArithmeticException if the elements do not fill whole blocks or the result exceeds a long
     */
    public long bytes(long elements) {
        if (elements < 0 || elements % blockElements != 0) {
            throw new ArithmeticException(elements + " elements do not fill whole " + this + " blocks");
        }
        return Math.multiplyExact(elements / blockElements, (long) blockBytes);
    }

    /** The type with this number in GGUF, if Talaria knows it. */
    public static Optional<TensorType> byId(int id) {
        for (TensorType type : values()) {
            if (type.id == id) {
                return Optional.of(type);
            }
        }
        return Optional.empty();
    }
}
