package io.talaria.backend.jni;

/**
 * Apple's GPUs, through {@code libtalaria_metal}. With {@code TALARIA_METAL_EMULATED=1} in the environment its kernels run
 * on the emulator, for tests.
 */
public final class MetalBackend extends LibraryBackend {
    public MetalBackend() {
        super("metal", "1".equals(System.getenv("TALARIA_METAL_EMULATED")) ? "metal_emulated" : "metal");
    }
}
