package io.talaria.placement;

import java.util.OptionalDouble;

/**
 * A device as {@link Simulation} sees it.
 *
 * @param hardware the number of the first device that is the same hardware, or its own; those of one number take the sum of
 *     what they do at the same time
 * @param gigabytesPerSecond that its kernels read, 10^9 bytes
 * @param teraflops that its kernels compute of long prompts, 10^12 per second, if that is known
 * @param courier whether a second queue copies rows of prompts while it computes
 */
public record Worker(String name, int hardware, double gigabytesPerSecond, OptionalDouble teraflops, boolean courier) {
    /** Seconds to read and compute so much, of which the longer counts; NaN if it computes and nobody knows how fast. */
    double seconds(double bytes, double flops) {
        double reading = bytes / (gigabytesPerSecond * 1e9);
        return flops == 0 ? reading : Math.max(reading, flops / (teraflops.orElse(Double.NaN) * 1e12));
    }
}
