package io.talaria.backend.jni;

import io.talaria.backend.Backend;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.OpenOptions;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentHashMap;

/** A backend that is one shared library. However many objects of a class there are, it is opened once. */
abstract class LibraryBackend implements Backend {
    private static final Map<String, NativeBackend> OPENED = new ConcurrentHashMap<>();

    private final NativeBackend backend;

    /** The backend of this name, in {@code libtalaria_NAME}. */
    LibraryBackend(String name) {
        this(name, name);
    }

    /** The backend of this name, in {@code libtalaria_LIBRARY}. */
    LibraryBackend(String name, String library) {
        backend = OPENED.computeIfAbsent(name, made -> new NativeBackend(made, library));
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

    /** What GPUs have in common takes a library of its own, which needs no driver. */
    static Optional<Device> planAnyGpu(OpenOptions options) {
        NativeBackend any = OPENED.computeIfAbsent("plan", name -> new NativeBackend(name, name));
        return any.unavailable().isPresent() ? Optional.empty() : Optional.of(any.plan(0, options));
    }

    @Override
    public Optional<Device> plan(OptionalInt index, OpenOptions options) {
        if (index.isEmpty() || unavailable().isPresent()) {
            return Optional.empty();
        }
        return Optional.of(backend.plan(index.getAsInt(), options));
    }
}
