package io.talaria.backend;

/** How a step computes, and for batches of which shape. */
public record StepOptions(Activations activations, BatchShape batch) {}
