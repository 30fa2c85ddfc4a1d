package io.talaria.model;

/** How a file holds its experts. */
public enum ExpertLayout {
    /** One tensor per layer and projection: {@code ffn_gate_exps}. */
    STACKED,
    /** One tensor per expert, layer and projection: {@code ffn_gate.3}. Files made before April 2024. */
    SPLIT,
    /** No experts: a plain Llama model. */
    DENSE
}
