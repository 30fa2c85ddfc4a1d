package io.talaria.cli;

import io.talaria.placement.Link;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.Collectors;
import picocli.CommandLine.Option;

/** What a simulation assumes of devices and of what is between them. Empty: what is usual. */
final class SpeedOptions {
    @Option(
            names = "--link",
            paramLabel = "NAME|GB/s,us",
            description = "What is between the devices: pcie5-pinned, pcie4-pinned, pcie5-peer, pcie4-peer,"
                    + " infinity-fabric, nvlink, or two numbers: GB/s, and microseconds per transfer. Default: measured"
                    + " where the devices are here, else pcie4-pinned.")
    private String link;

    @Option(
            names = "--efficiency",
            paramLabel = "SHARE",
            description =
                    "Of the memory's bandwidth, what kernels read. Default: 0.8 of what a GPU's maker says, 0.9 of"
                            + " what was measured.")
    private Double efficiency;

    @Option(
            names = "--tflops",
            paramLabel = "N,N",
            description = "10^12 operations per second that each device is built for, to estimate reading a prompt; one"
                    + " number for all, or one for each. Default: unknown, and so is reading.")
    private String tflops;

    @Option(
            names = "--compute-efficiency",
            paramLabel = "SHARE",
            description = "Of --tflops, what kernels reach. Default: ${DEFAULT-VALUE}.")
    private double computeEfficiency = 0.5;

    @Option(
            names = "--overhead",
            paramLabel = "LAYER,STEP",
            description =
                    "Microseconds that a layer's kernels take to begin and end, and that it takes to queue a pass."
                            + " Default: 16,10 for GPUs (8 kernels of 2 us; estimated); where devices are here, a step is"
                            + " measured, and the cpu's layers take none.")
    private String overhead;

    @Option(
            names = "--apart",
            description =
                    "A device that is named twice is two, each with that bandwidth, as a processor is with half of its"
                            + " threads for each. Default: it is one, and takes the sum of what both do.")
    private boolean apart;

    /** Two numbers of microseconds. */
    record Overhead(double layer, double step) {}

    Optional<Link> link() {
        if (link == null) {
            return Optional.empty();
        }
        Optional<Link> named = Link.NAMED.stream()
                .filter(one -> one.name().equals(link.toLowerCase(Locale.ROOT)))
                .findFirst();
        if (named.isPresent()) {
            return named;
        }
        List<Double> numbers = numbers("--link", link);
        if (numbers.size() != 2 || numbers.getFirst() == 0) {
            String names = Link.NAMED.stream().map(Link::name).collect(Collectors.joining(", "));
            throw new BadArgumentException("--link " + link + ": write GB/s,microseconds or one of " + names);
        }
        return Optional.of(new Link(link, numbers.get(0), numbers.get(1), "as given"));
    }

    /** Whether one device, named twice, is two pieces of hardware. */
    boolean apart() {
        return apart;
    }

    OptionalDouble efficiency() {
        return efficiency == null ? OptionalDouble.empty() : OptionalDouble.of(share("--efficiency", efficiency));
    }

    double computeEfficiency() {
        return share("--compute-efficiency", computeEfficiency);
    }

    private static double share(String option, double value) {
        if (!(value > 0 && value <= 1)) {
            throw new BadArgumentException(option + " " + value + ": write a share, more than 0 and at most 1");
        }
        return value;
    }

    /** Of a device among so many. */
    OptionalDouble tflops(int device, int devices) {
        if (tflops == null) {
            return OptionalDouble.empty();
        }
        List<Double> numbers = numbers("--tflops", tflops);
        if (numbers.contains(0.0) || numbers.size() != 1 && numbers.size() != devices) {
            throw new BadArgumentException(
                    "--tflops " + tflops + ": write one number for all, or one for each of " + devices + " devices");
        }
        return OptionalDouble.of(numbers.get(Math.min(device, numbers.size() - 1)));
    }

    Optional<Overhead> overhead() {
        if (overhead == null) {
            return Optional.empty();
        }
        List<Double> numbers = numbers("--overhead", overhead);
        if (numbers.size() != 2) {
            throw new BadArgumentException("--overhead " + overhead + ": write two numbers of microseconds");
        }
        return Optional.of(new Overhead(numbers.get(0), numbers.get(1)));
    }

    /** Not negative, and finite. */
    private static List<Double> numbers(String option, String text) {
        try {
            List<Double> numbers =
                    Arrays.stream(text.split(",", -1)).map(Double::valueOf).toList();
            if (numbers.stream().allMatch(number -> number >= 0 && number < Double.POSITIVE_INFINITY)) {
                return numbers;
            }
        } catch (NumberFormatException e) {
            // Said below.
        }
        throw new BadArgumentException(option + " " + text + ": write numbers, 0 or more, with commas between them"
                + (option.equals("--link") ? ", or the name of a link" : ""));
    }
}
