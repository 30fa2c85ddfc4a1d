package io.talaria.model;

import io.talaria.backend.Activations;
import io.talaria.quant.TensorType;

/**
 * How a decoder is set up.
 *
 * @param activations how precisely activations meet weights
 * @param kvType F16 or Q8_0; F32 keeps the cache exact on the reference
 * @param kvBlocks blocks of the KV cache, for all sequences together
 * @param maxRows rows of the largest batch
 * @param topK tokens per wanted row that {@link Decoder#top} returns
 * @param keepLogits whether every logit of the wanted rows can be read
 */
public record DecoderOptions(
        Activations activations, TensorType kvType, int kvBlocks, int maxRows, int topK, boolean keepLogits) {

    /** Positions per block of the KV cache. */
    public static final int POSITIONS_PER_BLOCK = 32;

    /** The blocks that so many positions of one sequence take. */
    public static int blocksFor(int positions) {
        return Math.ceilDiv(positions, POSITIONS_PER_BLOCK);
    }
}
