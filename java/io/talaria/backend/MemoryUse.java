package io.talaria.backend;

/**
 * What a device has allocated, in bytes.
 *
 * @param weights laid out the device's own way
 * @param kv the KV cache
 * @param scratch all else: activations, what steps need while they run, batches, staging for weights
 * @param rounding what the driver's pages add to all that
 */
public record MemoryUse(long weights, long kv, long scratch, long rounding) {
    public long total() {
        return Math.addExact(Math.addExact(weights, kv), Math.addExact(scratch, rounding));
    }

    /** What both have together. */
    public MemoryUse plus(MemoryUse other) {
        return new MemoryUse(
                weights + other.weights, kv + other.kv, scratch + other.scratch, rounding + other.rounding);
    }
}
