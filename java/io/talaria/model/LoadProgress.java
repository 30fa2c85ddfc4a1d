package io.talaria.model;

/** Hears how far the loading of a model is. */
@FunctionalInterface
public interface LoadProgress {
    /** Hears nothing. */
    LoadProgress NONE = (done, total) -> {};

    /** So many of so many bytes of weights are on the device. */
    void loaded(long done, long total);
}
