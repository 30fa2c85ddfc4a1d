package io.talaria.gguf;

/**
 * What the reader accepts at most. Each limit is checked before anything of that size is allocated.
 *
 * <p>Beside these, the reader demands: keys and tensor names unique; all text valid UTF-8; no nested arrays; a bool of
 * 0 or 1; dimensions of at least 1; rows that fill whole blocks; tensor offsets that are multiples of the alignment,
 * ascending, without overlap, and with their end inside the file.
 */
public final class GgufLimits {
    /** Bytes of a key. */
    public static final int KEY_BYTES = 65_535;

    /** Bytes of a string, as a value or as an array's element. */
    public static final int STRING_BYTES = 16 << 20;

    /** Elements of an array. */
    public static final int ARRAY_ELEMENTS = 16 << 20;

    /** Keys of one file. */
    public static final int KEYS = 10_000;

    /** Tensors of a model, all shards together. */
    public static final int TENSORS = 10_000;

    /** Bytes of a tensor name. */
    public static final int NAME_BYTES = 63;

    /** Dimensions of a tensor. */
    public static final int DIMENSIONS = 4;

    /** The smallest alignment of tensor data, in bytes. */
    public static final int MINIMUM_ALIGNMENT = 8;

    /** The largest alignment of tensor data, in bytes. */
    public static final int MAXIMUM_ALIGNMENT = 65_536;

    /** The alignment of a file that states none, in bytes. */
    public static final int DEFAULT_ALIGNMENT = 32;

    /** Bytes of everything before the tensor data, in one file. */
    public static final int HEADER_BYTES = 256 << 20;

    /** Files of one split model. */
    public static final int SHARDS = 1_000;

    private GgufLimits() {}
}
