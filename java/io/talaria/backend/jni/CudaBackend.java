package io.talaria.backend.jni;

import io.talaria.backend.Device;
import io.talaria.backend.OpenOptions;
import java.util.Optional;
import java.util.OptionalInt;

/** GPUs of NVIDIA, through {@code libtalaria_cuda}. */
public final class CudaBackend extends LibraryBackend {
    public CudaBackend() {
        super("cuda");
    }

    @Override
    public Optional<Device> plan(OptionalInt index, OpenOptions options) {
        return index.isEmpty() ? planAnyGpu(options) : super.plan(index, options);
    }
}
