package io.talaria.backend.jni;

import io.talaria.backend.Backend;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.OpenOptions;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/** A backend that is one shared library, {@code libtalaria_NAME}. However many of these there are, it is opened once. */
abstract class LibraryBackend implements Backend {
    private static final Map<String, NativeBackend> OPENED = new ConcurrentHashMap<>();

    private final NativeBackend backend;

    LibraryBackend(String name) {
        backend = OPENED.computeIfAbsent(name, NativeBackend::new);
    }

    @Override
    public final String name() {
        return backend.name();
    }

    @Override
    public final Optional<String> unavailable() {
        return backend.unavailable();
    }

    @Override
    public final List<DeviceInfo> devices() {
        return backend.devices();
    }

    @Override
    public final Optional<Path> library() {
        return backend.library();
    }

    @Override
    public final Device open(int index, OpenOptions options) {
        return backend.open(index, options, 0);
    }
}
