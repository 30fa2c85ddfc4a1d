package io.talaria.backend.jni;

import io.talaria.backend.Device;
import io.talaria.backend.OpenOptions;
import java.util.Optional;
import java.util.OptionalInt;

/** GPUs of AMD, through {@code libtalaria_hip}. */
public final class HipBackend extends LibraryBackend {
    public HipBackend() {
        super("hip");
    }

    @Override
    public Optional<Device> plan(OptionalInt index, OpenOptions options) {
        return index.isEmpty() ? planAnyGpu(options) : super.plan(index, options);
    }
}
