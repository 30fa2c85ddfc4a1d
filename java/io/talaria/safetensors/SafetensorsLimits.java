package io.talaria.safetensors;

/**
 * What the reader accepts at most. Each limit is checked before anything of that size is allocated.
 *
 * <p>Beside these, the reader demands: JSON without duplicate names; known types; shapes, types and places that agree;
 * data that fills the rest of the file without gap or overlap; shards that lie in the folder itself.
 */
public final class SafetensorsLimits {
    /** Bytes of a file's header, and of config.json, the index and other small files. */
    public static final int JSON_BYTES = 16 << 20;

    /** Tokens of one JSON text: names, values and brackets. */
    public static final int JSON_TOKENS = 1_000_000;

    /** How deep JSON may be nested. */
    public static final int JSON_DEPTH = 16;

    /** Bytes of a name in JSON. */
    public static final int NAME_BYTES = 1024;

    /** Tensors of a model, all shards together. */
    public static final int TENSORS = 100_000;

    /** Dimensions of a tensor. */
    public static final int DIMENSIONS = 8;

    /** Files of one model. */
    public static final int SHARDS = 1_000;

    private SafetensorsLimits() {}
}
