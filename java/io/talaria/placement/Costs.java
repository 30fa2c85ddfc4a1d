package io.talaria.placement;

/**
 * What a forward pass costs besides reading and computing.
 *
 * @param link between any two devices
 * @param layerMicroseconds that a layer's kernels take to begin and end
 * @param stepMicroseconds to queue the steps of a pass, one for each device at the same time, and have them begin
 */
public record Costs(Link link, double layerMicroseconds, double stepMicroseconds) {}
