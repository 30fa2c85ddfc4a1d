package io.talaria.placement;

import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.OpenOptions;
import io.talaria.placement.GpuCatalogue.Gpu;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * A device that a model is planned for, here or not.
 *
 * @param standIn opens what counts in its place ({@link io.talaria.backend.Backend#plan})
 * @param freeBytes that the model may have
 * @param overheadBytes that drivers and the steps of smaller batches take besides what the stand-in counts
 * @param gigabytesPerSecond of its memory, if that is known
 * @param courier whether a second queue copies rows of prompts while it computes
 * @param host whether its memory is the host's, and models go there only as far as other devices have no room
 */
public record PlanDevice(
        String name,
        Supplier<Device> standIn,
        long freeBytes,
        long overheadBytes,
        OptionalDouble gigabytesPerSecond,
        boolean courier,
        boolean host) {
    private static final long MIB = 1L << 20;
    /** Batches and graphs of the steps for fewer rows than the largest. */
    private static final long STEPS = 16 * MIB;

    /**
     * Devices that are here, with the memory that is free now; empty if that is the reference, which leaves weights in
     * their file.
     *
     * @param bandwidth in GB/s, if it is known
     * @throws DeviceException if one is not here, or the reference is among several
     */
    public static Optional<List<PlanDevice>> present(
            List<String> names, OpenOptions options, Function<DeviceInfo, OptionalDouble> bandwidth) {
        List<PlanDevice> devices = new ArrayList<>();
        names.forEach(name -> present(name, options, bandwidth).ifPresent(devices::add));
        if (devices.size() < names.size()) {
            if (names.size() > 1) {
                throw new DeviceException(
                        DeviceException.Kind.UNSUPPORTED,
                        "the device reference takes no part in a split: it leaves weights in their file");
            }
            return Optional.empty();
        }
        // One device may be opened several times, and its memory is there once.
        List<String> known = devices.stream().map(PlanDevice::name).toList();
        devices.replaceAll(device -> device.withFree(device.freeBytes() / Collections.frequency(known, device.name())));
        return Optional.of(devices);
    }

    /** Empty for the reference. */
    private static Optional<PlanDevice> present(
            String device, OpenOptions options, Function<DeviceInfo, OptionalDouble> bandwidth) {
        DeviceInfo info = Backends.info(device);
        if (isReference(info.device())) {
            return Optional.empty();
        }
        Supplier<Device> standIn = () -> Backends.plan(device, options)
                .or(Backends::planAnyGpu)
                .orElseThrow(() -> new IllegalStateException("no backend of this build can be planned with"));
        boolean host = info.device().startsWith("cpu");
        String backend = info.device().split(":")[0];
        return Optional.of(new PlanDevice(
                info.device(),
                standIn,
                info.freeBytes(),
                overhead(backend),
                bandwidth.apply(info),
                hasCourier(backend),
                host));
    }

    PlanDevice withFree(long bytes) {
        return new PlanDevice(name, standIn, bytes, overheadBytes, gigabytesPerSecond, courier, host);
    }

    /** The devices of a card of the catalogue, while nothing else runs there. */
    public static List<PlanDevice> of(Gpu gpu) {
        Supplier<Device> standIn = () -> Backends.planAnyGpu()
                .orElseThrow(() -> new IllegalStateException("this build has no library to plan for GPUs with"));
        String backend = gpu.architecture().startsWith("sm_")
                ? "cuda"
                : gpu.architecture().startsWith("gfx") ? "hip" : "metal";
        List<PlanDevice> devices = new ArrayList<>();
        for (int i = 0; i < gpu.devices(); i++) {
            String name = gpu.devices() == 1 ? gpu.name() : gpu.name() + ", device " + i;
            devices.add(new PlanDevice(
                    name,
                    standIn,
                    gpu.usableBytes(),
                    overhead(backend),
                    OptionalDouble.of(gpu.gigabytesPerSecond()),
                    hasCourier(backend),
                    false));
        }
        return devices;
    }

    /** Contexts, kernels and graphs of the driver; the emulator has none. Estimated from what drivers are known to take. */
    private static long overhead(String backend) {
        return switch (backend) {
            case "simt" -> STEPS;
            case "cpu" -> STEPS + 32 * MIB; // what goes through the host's own buffers while weights are read
            case "cuda" -> STEPS + 640 * MIB;
            default -> STEPS + 384 * MIB;
        };
    }

    private static boolean hasCourier(String backend) {
        return backend.equals("cuda") || backend.equals("hip") || backend.equals("simt");
    }

    private static boolean isReference(String device) {
        return device.startsWith("reference");
    }
}
