package io.talaria.backend;

/**
 * A paged KV cache: for each layer a pool of blocks, each for so many positions. Which block holds which positions of
 * which sequence is the batch's block table, so sequences share blocks and give them back one by one.
 *
 * @param keys {@code [layers][blocks][positions per block][G * D]}
 * @param values the same shape and type
 * @param headDim D, the values of one head
 */
public record KvCache(Tensor keys, Tensor values, int headDim) {
    public int layers() {
        return Math.toIntExact(keys.shape().outer());
    }

    public int blocks() {
        return Math.toIntExact(keys.shape().planes());
    }

    public int positionsPerBlock() {
        return Math.toIntExact(keys.shape().rows());
    }

    /** Values per position and layer: KV heads times head size. */
    public long width() {
        return keys.shape().columns();
    }
}
