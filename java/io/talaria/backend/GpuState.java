package io.talaria.backend;

/**
 * What a GPU's driver says of it at this moment, without anything being opened on it. A number that it does not say is 0.
 *
 * @param index among the driver's GPUs
 * @param memoryBytes all of its memory
 * @param freeBytes what of it is free now
 * @param megahertz of its processors now
 * @param memoryMegahertz of its memory now
 * @param bandwidth that its memory was built for, in 10^9 bytes per second: the largest clock, twice, times the width
 * @param watts that it takes now
 * @param wattsLimit that it may take
 */
public record GpuState(
        int index,
        String name,
        long memoryBytes,
        long freeBytes,
        int megahertz,
        int memoryMegahertz,
        double bandwidth,
        double watts,
        double wattsLimit) {}
