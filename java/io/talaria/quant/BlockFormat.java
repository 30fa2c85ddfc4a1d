package io.talaria.quant;

/**
 * The decoder of one block format. An implementation documents its block's bytes and bit positions.
 *
 * <p>All of them compute in float32 and in a fixed order: the block's scale times the sub-block's scale first, then
 * times the quant, then plus or minus the offset. Multi-byte fields are little-endian; "half" is an IEEE binary16.
 * Implementations hold no state and may be shared between threads.
 */
interface BlockFormat {
    /**
     * Decodes the block that begins at {@code block[at]} to {@code target[targetAt...]}. Bounds are the caller's
     * business; {@link Quant#decode} checks them once for all blocks of a call.
     */
    void decode(byte[] block, int at, float[] target, int targetAt);
}
