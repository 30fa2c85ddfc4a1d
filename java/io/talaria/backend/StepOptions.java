package io.talaria.backend;

/**
 * How a step computes, and for batches of which shape.
 *
 * @param batchInvariant whether a row's results may not depend, to the bit, on the other rows of its batch
 */
public record StepOptions(Activations activations, BatchShape batch, boolean batchInvariant) {
    public StepOptions(Activations activations, BatchShape batch) {
        this(activations, batch, false);
    }
}
