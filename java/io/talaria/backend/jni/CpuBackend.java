package io.talaria.backend.jni;

/** The processor of this machine, through {@code libtalaria_cpu}. */
public final class CpuBackend extends LibraryBackend {
    public CpuBackend() {
        super("cpu");
    }
}
