package io.talaria.backend.jni;

/** GPUs of AMD, through {@code libtalaria_hip}. */
public final class HipBackend extends LibraryBackend {
    public HipBackend() {
        super("hip");
    }
}
