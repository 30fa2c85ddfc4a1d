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
 * @param keepRouting whether the choice of experts can be read, layer by layer
 * @param batchInvariant whether a row's results may not depend, to the bit, on the other rows of its batch
 * @param streamRows from how many rows on experts that the cpu has for another device are read from the file and computed
 *     there; 0: they never are
 */
public record DecoderOptions(
        Activations activations,
        TensorType kvType,
        int kvBlocks,
        int maxRows,
        int topK,
        boolean keepLogits,
        boolean keepRouting,
        boolean batchInvariant,
        int streamRows) {

    /** For the single most likely token of each wanted row. */
    public static DecoderOptions of(Activations activations, TensorType kvType, int kvBlocks, int maxRows) {
        return new DecoderOptions(activations, kvType, kvBlocks, maxRows, 1, false, false, false, 0);
    }

    /** The same, with all logits of the wanted rows to be read. */
    public DecoderOptions withLogits() {
        return new DecoderOptions(
                activations, kvType, kvBlocks, maxRows, topK, true, keepRouting, batchInvariant, streamRows);
    }

    /** The same, with the choice of experts to be read. */
    public DecoderOptions withRouting() {
        return new DecoderOptions(
                activations, kvType, kvBlocks, maxRows, topK, keepLogits, true, batchInvariant, streamRows);
    }

    /** The same, with results that do not depend on what else is in a batch. */
    public DecoderOptions withBatchInvariance() {
        return new DecoderOptions(
                activations, kvType, kvBlocks, maxRows, topK, keepLogits, keepRouting, true, streamRows);
    }

    /** The same, with a KV cache of another type. */
    public DecoderOptions withKv(TensorType type) {
        return new DecoderOptions(
                activations, type, kvBlocks, maxRows, topK, keepLogits, keepRouting, batchInvariant, streamRows);
    }

    /** The same, with batches of up to so many rows. */
    public DecoderOptions withMaxRows(int rows) {
        return new DecoderOptions(
                activations, kvType, kvBlocks, rows, topK, keepLogits, keepRouting, batchInvariant, streamRows);
    }

    /** The same, with the cpu's experts computed elsewhere from so many rows on. */
    public DecoderOptions withStreaming(int fromRows) {
        return new DecoderOptions(
                activations, kvType, kvBlocks, maxRows, topK, keepLogits, keepRouting, batchInvariant, fromRows);
    }

    /**
     * Whether batches of so many rows are computed with streamed experts. Not if results may not depend on the batch: other
     * devices give other bits.
     */
    public boolean streams(int rows) {
        return streamRows > 0 && rows >= streamRows && !batchInvariant;
    }

    /** Positions per block of the KV cache. */
    public static final int POSITIONS_PER_BLOCK = 32;

    /** The blocks that so many positions of one sequence take. */
    public static int blocksFor(int positions) {
        return Math.ceilDiv(positions, POSITIONS_PER_BLOCK);
    }
}
