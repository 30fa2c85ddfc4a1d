package io.talaria.backend;

import java.util.Optional;

/**
 * The experts of one layer that a device holds: L of the model's E.
 *
 * @param gate {@code [L][F][H]}
 * @param up {@code [L][F][H]}
 * @param down {@code [L][H][F]}
 * @param map {@code [E]} I32: the plane that holds expert e, or -1 if another device does; empty if expert e is plane e
 */
public record ExpertWeights(Tensor gate, Tensor up, Tensor down, Optional<Tensor> map) {}
