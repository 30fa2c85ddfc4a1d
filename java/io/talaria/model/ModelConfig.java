package io.talaria.model;

/**
 * The numbers of a Mixtral model.
 *
 * @param hidden H, values per token between layers
 * @param layers decoder layers
 * @param heads N, query heads
 * @param kvHeads G, key and value heads
 * @param headDim D, values per head
 * @param ffn F, values between an expert's two products
 * @param experts E, experts per layer; 0 for a dense model, which can be looked at but not run
 * @param expertsUsed K, experts per token
 * @param vocabulary V
 * @param context positions that the model was trained for
 * @param ropeDims leading values of each head that RoPE turns
 * @param ropeBase RoPE's base
 * @param rmsEpsilon of all norms
 */
public record ModelConfig(
        int hidden,
        int layers,
        int heads,
        int kvHeads,
        int headDim,
        int ffn,
        int experts,
        int expertsUsed,
        int vocabulary,
        int context,
        int ropeDims,
        float ropeBase,
        float rmsEpsilon) {

    /** G * D: values per position in each half of a layer's KV cache. */
    public int kvWidth() {
        return kvHeads * headDim;
    }

    /** N * D. */
    public int queryWidth() {
        return heads * headDim;
    }
}
