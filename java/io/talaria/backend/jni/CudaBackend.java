package io.talaria.backend.jni;

/** GPUs of NVIDIA, through {@code libtalaria_cuda}. */
public final class CudaBackend extends LibraryBackend {
    public CudaBackend() {
        super("cuda");
    }
}
