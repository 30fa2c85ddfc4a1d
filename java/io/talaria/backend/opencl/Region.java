package io.talaria.backend.opencl;

/** What scratch memory is for. Each purpose has a buffer of its own, as large as the hungriest step needs it. */
enum Region {
    /** Stands for the buffers that a kernel is told not to look at. */
    NOTHING,
    // Rows of a norm, or of rounded activations: [rows][stride], [rows][stride], [rows][stride / 32]
    INPUT_VALUES,
    INPUT_CODES,
    INPUT_SCALES,
    // Rows that route has prepared for experts.
    H_VALUES,
    H_CODES,
    H_SCALES,
    // [R * K][F]
    GATED_VALUES,
    GATED_CODES,
    GATED_SCALES,
    /** Products of their own where the types of gate and up differ, {@code [R * K][F]}. */
    GATE,
    UP,
    TILES,
    TILE_COUNT,
    PAIRS,
    /** {@code [R][G * D]} before RoPE. */
    K,
    V,
    /** What attention's splits leave. */
    PARTIAL,
    LOGITS,
    KEYS
}
