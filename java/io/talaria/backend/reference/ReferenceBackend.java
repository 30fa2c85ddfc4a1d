package io.talaria.backend.reference;

import io.talaria.backend.Backend;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.OpenOptions;
import java.util.List;
import java.util.Optional;

/** Always there: one device, named {@code reference}. */
public final class ReferenceBackend implements Backend {
    @Override
    public String name() {
        return "reference";
    }

    @Override
    public Optional<String> unavailable() {
        return Optional.empty();
    }

    @Override
    public List<DeviceInfo> devices() {
        return List.of(info());
    }

    @Override
    public Device open(int index, OpenOptions options) {
        if (index != 0) {
            throw new DeviceException(DeviceException.Kind.UNSUPPORTED, "there is one reference device");
        }
        return new ReferenceDevice(info());
    }

    private static DeviceInfo info() {
        Runtime runtime = Runtime.getRuntime();
        long used = runtime.totalMemory() - runtime.freeMemory();
        return new DeviceInfo(
                "reference", "plain Java in double precision", runtime.maxMemory(), runtime.maxMemory() - used, 32);
    }
}
