package io.talaria.backend.jni;

/**
 * The GPU kernels on an emulator, through {@code libtalaria_simt}: for tests, and never chosen unless named. With
 * {@code TALARIA_SIMT_LANES=64} in the environment its hardware warps have 64 lanes, as AMD's older GPUs have.
 */
public final class SimtBackend extends LibraryBackend {
    public SimtBackend() {
        super("simt", "64".equals(System.getenv("TALARIA_SIMT_LANES")) ? "simt64" : "simt");
    }
}
