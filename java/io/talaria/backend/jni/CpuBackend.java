package io.talaria.backend.jni;

import io.talaria.backend.Backend;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.OpenOptions;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** The processor of this machine, through {@code libtalaria_cpu}. */
public final class CpuBackend implements Backend {
    private static final NativeBackend BACKEND = new NativeBackend("cpu");

    @Override
    public String name() {
        return BACKEND.name();
    }

    @Override
    public Optional<String> unavailable() {
        return BACKEND.unavailable();
    }

    @Override
    public List<DeviceInfo> devices() {
        return BACKEND.devices();
    }

    @Override
    public Optional<Path> library() {
        return BACKEND.library();
    }

    @Override
    public Device open(int index, OpenOptions options) {
        return BACKEND.open(index, options, 0);
    }
}
