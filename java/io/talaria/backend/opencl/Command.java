package io.talaria.backend.opencl;

import io.talaria.backend.Event;
import io.talaria.backend.Tensor;

/** What a step does, in its order: launches of kernels, and what the host queues or waits for between them. */
sealed interface Command {
    /**
     * A kernel over a grid of work-groups.
     *
     * @param lanes work-items of a work-group
     * @param args a {@link Memory.Buffer}, a {@link Region}, an Integer, a Long or a Float each
     */
    record Launch(Unit unit, String kernel, int lanes, long x, long y, long z, Object[] args) implements Command {}

    /** Copies the batch's rows; one of the two, or both, may be host tensors. */
    record Copy(Tensor target, long targetOffset, Tensor source, long sourceOffset, long rowBytes) implements Command {}

    record Zero(Tensor target) implements Command {}

    record Signal(Event event) implements Command {}

    record Await(Event event) implements Command {}
}
