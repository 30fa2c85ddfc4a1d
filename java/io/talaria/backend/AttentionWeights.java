package io.talaria.backend;

/**
 * The attention of one layer. H is the hidden size, N the heads, G the KV heads, D the head size.
 *
 * @param norm {@code [H]} F32
 * @param query {@code [N * D][H]}
 * @param key {@code [G * D][H]}
 * @param value {@code [G * D][H]}
 * @param output {@code [H][N * D]}
 * @param ropeDims leading values of each head that RoPE turns
 * @param ropeBase RoPE's base
 * @param epsilon of the RMS norm
 */
public record AttentionWeights(
        Tensor norm,
        Tensor query,
        Tensor key,
        Tensor value,
        Tensor output,
        int ropeDims,
        float ropeBase,
        float epsilon) {}
