package io.talaria.cli;

import io.talaria.backend.DeviceInfo;
import io.talaria.bench.MemoryModules;
import io.talaria.placement.GpuCatalogue;
import java.util.OptionalDouble;

/** What a device's memory was built for, in GB/s, where the firmware, the catalogue or the driver knows it. */
final class NominalBandwidth {
    private NominalBandwidth() {}

    static OptionalDouble of(DeviceInfo device) {
        if (device.device().startsWith("cpu")) {
            return MemoryModules.bandwidth();
        }
        return GpuCatalogue.bandwidth(device);
    }
}
