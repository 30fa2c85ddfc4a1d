package io.talaria.cli;

import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.placement.Costs;
import io.talaria.placement.Link;
import io.talaria.placement.LinkProbe;
import io.talaria.placement.PlanDevice;
import io.talaria.placement.Worker;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * What a simulation knows of its devices.
 *
 * @param assumptions where the numbers are from, in sentences
 * @param probe what was measured between devices that are here
 */
record Speeds(List<Worker> workers, Costs costs, List<String> assumptions, Optional<LinkProbe.Result> probe) {
    private static final long READ_BYTES = 256L << 20;
    private static final double ROW_BYTES = 16384;
    private static final double OF_NOMINAL = 0.8;
    private static final double OF_MEASURED = 0.9;
    /** Where nobody knows: all devices are alike. */
    private static final double UNKNOWN_BANDWIDTH = 100;

    private static final SpeedOptions.Overhead GPU = new SpeedOptions.Overhead(16, 10);

    /** Devices of the catalogue, and a cpu that is here beside them. */
    static Speeds planned(List<PlanDevice> planned, SpeedOptions options) {
        List<String> says = new ArrayList<>();
        List<Worker> workers = new ArrayList<>();
        double efficiency = options.efficiency().orElse(OF_NOMINAL);
        for (int i = 0; i < planned.size(); i++) {
            PlanDevice device = planned.get(i);
            double nominal = device.gigabytesPerSecond().orElse(UNKNOWN_BANDWIDTH);
            if (device.gigabytesPerSecond().isEmpty()) {
                says.add(format("%s: %.0f GB/s, as nobody says what its memory gives", device.name(), nominal));
            }
            workers.add(worker(device.name(), i, nominal * efficiency, device.courier(), i, planned.size(), options));
        }
        says.add(format("kernels read %.2f of the bandwidth that the makers state (%s)", efficiency, source(options)));
        Link link = options.link()
                .orElseGet(() -> Link.NAMED.stream()
                        .filter(named -> named.name().equals("pcie4-pinned"))
                        .findFirst()
                        .orElseThrow());
        SpeedOptions.Overhead overhead = options.overhead().orElse(GPU);
        return of(workers, link, overhead, options, says, Optional.empty());
    }

    /** Devices that are here, which are opened and measured. */
    static Speeds present(DeviceOptions.Choice choice, SpeedOptions options) {
        List<String> names = choice.devices();
        List<String> says = new ArrayList<>();
        List<Worker> workers = new ArrayList<>();
        double efficiency = options.efficiency().orElse(OF_MEASURED);
        List<Device> opened = new ArrayList<>();
        try {
            names.forEach(name -> opened.add(Backends.open(name, choice.opening())));
            List<String> known =
                    opened.stream().map(device -> device.info().device()).toList();
            for (int i = 0; i < opened.size(); i++) {
                String name = known.get(i);
                int first = known.indexOf(name);
                double speed = first < i
                        ? workers.get(first).gigabytesPerSecond()
                        : efficiency * bandwidth(opened.get(i), says);
                boolean courier = opened.get(i).courier().isPresent();
                workers.add(worker(name, options.apart() ? i : first, speed, courier, i, names.size(), options));
            }
            says.add(format("kernels read %.2f of that (%s)", efficiency, source(options)));
            Optional<LinkProbe.Result> probe = probe(opened);
            Link link = options.link()
                    .or(() -> probe.map(LinkProbe.Result::link))
                    .orElseGet(() -> new Link("none", 1, 0, "one device needs none"));
            boolean onlyCpu = known.stream().allMatch(name -> name.startsWith("cpu"));
            double step = probe.map(LinkProbe.Result::stepMicroseconds).orElse(GPU.step());
            SpeedOptions.Overhead overhead =
                    options.overhead().orElseGet(() -> new SpeedOptions.Overhead(onlyCpu ? 0 : GPU.layer(), step));
            return of(workers, link, overhead, options, says, probe);
        } finally {
            opened.forEach(Device::close);
        }
    }

    private static Speeds of(
            List<Worker> workers,
            Link link,
            SpeedOptions.Overhead overhead,
            SpeedOptions options,
            List<String> says,
            Optional<LinkProbe.Result> probe) {
        says.add(format(
                "link %s: %.4g GB/s and %.3g us per transfer; %s",
                link.name(), link.gigabytesPerSecond(), link.microseconds(), link.assumption()));
        Costs costs = new Costs(link, overhead.layer(), overhead.step());
        says.add(
                "per layer and device away one transfer there, of h and the routing, and one back, of slots; with tensor"
                        + " two, each both ways at once, of parts of attention and of slots");
        says.add(format(
                "%.3g us for the kernels of a layer to begin and end, %.3g us for a pass to be queued",
                overhead.layer(), overhead.step()));
        return new Speeds(List.copyOf(workers), costs, List.copyOf(says), probe);
    }

    private static Worker worker(
            String name, int hardware, double speed, boolean courier, int device, int devices, SpeedOptions options) {
        OptionalDouble tflops = options.tflops(device, devices);
        return new Worker(
                name,
                hardware,
                speed,
                tflops.isEmpty() ? tflops : OptionalDouble.of(options.computeEfficiency() * tflops.getAsDouble()),
                courier);
    }

    private static String source(SpeedOptions options) {
        return options.efficiency().isPresent() ? "as given" : "estimated";
    }

    /** What a device reads at best: measured, or as its maker says, or assumed. */
    private static double bandwidth(Device device, List<String> says) {
        String name = device.info().device();
        try {
            double measured = device.readBandwidth(READ_BYTES);
            says.add(format("%s reads %.1f GB/s, measured", name, measured));
            return measured;
        } catch (DeviceException e) {
            if (e.kind() != DeviceException.Kind.UNSUPPORTED && e.kind() != DeviceException.Kind.OUT_OF_MEMORY) {
                throw e;
            }
            OptionalDouble nominal = NominalBandwidth.of(device.info());
            double assumed = nominal.orElse(UNKNOWN_BANDWIDTH);
            String why = nominal.isPresent()
                    ? "which its maker states"
                    : "which is assumed: nobody says, and it does not measure";
            says.add(format("%s reads %.1f GB/s, %s", name, assumed, why));
            return assumed;
        }
    }

    /** The first device with each other; the slowest. */
    private static Optional<LinkProbe.Result> probe(List<Device> opened) {
        return opened.stream()
                .skip(1)
                .map(away -> LinkProbe.measure(opened.getFirst(), away))
                .max(Comparator.comparing(result -> result.link().seconds(ROW_BYTES)));
    }

    private static String format(String text, Object... values) {
        return String.format(Locale.ROOT, text, values);
    }
}
