package io.talaria.placement;

import java.util.List;

/**
 * What it takes to bring rows from one device to another: a fixed time, and the bytes' own.
 *
 * @param gigabytesPerSecond in one direction, 10^9 bytes
 * @param microseconds that a transfer of no bytes takes
 * @param assumption where the two numbers are from, for those who read a result
 */
public record Link(String name, double gigabytesPerSecond, double microseconds, String assumption) {
    /** Links with a name. Through host memory, as passes travel, there are two copies, one after the other. */
    public static final List<Link> NAMED = List.of(
            new Link(
                    "pcie5-pinned",
                    25,
                    10,
                    "PCIe 5.0 x16 through pinned host memory, kernels wait for flags: two copies at 50 GB/s, and 10 us for"
                            + " both (estimated)"),
            new Link(
                    "pcie4-pinned",
                    12.5,
                    10,
                    "PCIe 4.0 x16 through pinned host memory, kernels wait for flags: two copies at 25 GB/s, and 10 us for"
                            + " both (estimated)"),
            new Link("pcie5-peer", 50, 4, "PCIe 5.0 x16 with peer access: 50 GB/s of 63, and 4 us (estimated)"),
            new Link("pcie4-peer", 25, 4, "PCIe 4.0 x16 with peer access: 25 GB/s of 32, and 4 us (estimated)"),
            new Link(
                    "infinity-fabric",
                    46,
                    4,
                    "one Infinity Fabric link of two MI100: 16 lanes at 23 GT/s (AMD's page on the MI100), and 4 us"
                            + " (estimated)"),
            new Link("nvlink", 300, 4, "NVLink 3 of the A100: 300 GB/s in each direction, and 4 us (estimated)"));

    /** Seconds of one transfer. */
    public double seconds(double bytes) {
        return microseconds / 1e6 + bytes / (gigabytesPerSecond * 1e9);
    }
}
