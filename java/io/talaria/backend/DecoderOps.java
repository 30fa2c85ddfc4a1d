package io.talaria.backend;

import java.util.Optional;

/**
 * The verbs of a decoder's forward pass: all that a backend implements. They are coarse on purpose, so that a backend may
 * fuse inside a verb and across neighbours while the layer loop stays in Java.
 *
 * <p>Shapes: R rows of the batch, W wanted rows, H hidden size, N heads, G KV heads, D head size, E experts, K experts
 * used per token, V vocabulary, S sources. Activations have at least the step's rows; a verb works on the batch's. A verb
 * that does not fit throws {@link DeviceException} and leaves the step as it was.
 */
public interface DecoderOps {
    /** x = table[token]. x {@code [R][H]} is written; table is {@code [V][H]}. */
    void embed(Tensor x, Tensor table);

    /**
     * Norm, q k v, RoPE; keys and values go to the cache at the rows' positions. q {@code [R][N * D]} is written; x is
     * {@code [R][H]}. RoPE turns the pairs (2i, 2i + 1) of a head.
     */
    void attentionInput(Tensor q, Tensor x, AttentionWeights weights, KvCache kv, int layer);

    /** Causal, grouped-query attention over the cache. attended {@code [R][N * D]} is written. */
    void attention(Tensor attended, Tensor q, KvCache kv, int layer);

    /** x += output · attended. */
    void attentionOutput(Tensor x, Tensor attended, AttentionWeights weights);

    /**
     * h = norm(x) in float32; the K experts with the largest router · h, largest first, ties to the lower id; their
     * weights are the softmax over these K. routing {@code [R][2 * K]} I32 (ids, then weights as float bits) and h
     * {@code [R][H]} are written.
     */
    void route(Tensor routing, Tensor h, Tensor x, RouterWeights weights);

    /**
     * slots[row][k] = weight · down(silu(gate · h) ⊙ up · h) for the experts held here, zero for the others. slots
     * {@code [S][R][K][H]}: the first source is written.
     */
    void experts(Tensor slots, Tensor h, Tensor routing, ExpertWeights weights);

    /** x += the slots in slot order, each the sum over its sources {@code [S][R][K][H]}. */
    void addSlots(Tensor x, Tensor slots);

    /**
     * Norm and output product of the wanted rows, adjusted and masked as the batch says. top {@code [W][3k + 1 + targets]}
     * I32 is written, to be read through {@link TopLogits}; logits {@code [W][V]} F32, if given, with the plain logits.
     */
    void topLogits(Tensor top, Tensor x, OutputWeights weights, int k, Optional<Tensor> logits);

    /** Copies the batch's rows, {@code rowBytes} each, between activations and host tensors; offsets in bytes. */
    void copy(Tensor target, long targetOffset, Tensor source, long sourceOffset, long rowBytes);

    /** Sets every byte of an activation or host tensor to zero. */
    void zero(Tensor target);

    /** Counts the event up, once all verbs before it are done. */
    void signal(Event event);

    /** Waits until the event's count is at least 1, and takes 1. */
    void await(Event event);
}
