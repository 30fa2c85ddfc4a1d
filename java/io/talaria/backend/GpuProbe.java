package io.talaria.backend;

import java.util.List;
import java.util.ServiceLoader;

/** Asks a driver for the state of its GPUs. */
public interface GpuProbe {
    /** The driver's GPUs by index; none if the driver is not here. Never throws. */
    List<GpuState> gpus();

    /** The GPUs of all drivers. */
    static List<GpuState> all() {
        return ServiceLoader.load(GpuProbe.class, GpuProbe.class.getClassLoader()).stream()
                .flatMap(provider -> provider.get().gpus().stream())
                .toList();
    }
}
