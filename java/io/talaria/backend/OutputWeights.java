package io.talaria.backend;

/**
 * What turns the last layer's rows into logits.
 *
 * @param norm {@code [H]} F32
 * @param output {@code [V][H]}
 * @param epsilon of the RMS norm
 */
public record OutputWeights(Tensor norm, Tensor output, float epsilon) {}
