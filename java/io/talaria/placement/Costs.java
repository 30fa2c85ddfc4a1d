package io.talaria.placement;

/**
 * What a forward pass costs besides reading and computing.
 *
 * @param link between any two devices
 * @param layerMicroseconds that a layer's kernels take to begin and end
 * @param stepMicroseconds to queue a step and have it begin
 */
public record Costs(Link link, Exchange exchange, double layerMicroseconds, double stepMicroseconds) {
    /** How rows travel where a layer's experts are on several devices. */
    public enum Exchange {
        /** As a forward pass does it: h, routing and slots one after the other, with steps cut at each. */
        MOVES,
        /** As it could be: h and routing in one transfer, slots in another, and no step is cut. No pass does it yet. */
        FUSED
    }
}
