package io.talaria.validate;

/** Hears how far a validation is. */
@FunctionalInterface
public interface ValidationProgress {
    /** Hears nothing. */
    ValidationProgress NONE = (done, total) -> {};

    /** So many of so many parts are done. */
    void at(long done, long total);
}
