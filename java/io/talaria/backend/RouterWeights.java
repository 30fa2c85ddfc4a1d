package io.talaria.backend;

/**
 * What decides on one layer's experts.
 *
 * @param norm {@code [H]} F32, of the layer's second half
 * @param router {@code [E][H]} F32, F16 or BF16
 * @param epsilon of the RMS norm
 */
public record RouterWeights(Tensor norm, Tensor router, float epsilon) {}
