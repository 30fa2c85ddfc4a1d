package io.talaria.backend.jni;

/** The GPU kernels on an emulator, through {@code libtalaria_simt}: for tests, and never chosen unless named. */
public final class SimtBackend extends LibraryBackend {
    public SimtBackend() {
        super("simt");
    }
}
