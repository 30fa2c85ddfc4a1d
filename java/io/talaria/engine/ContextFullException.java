package io.talaria.engine;

/** A text has grown past the context that was set aside for it. */
public final class ContextFullException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    ContextFullException(int positions) {
        super("the context is full after " + positions + " tokens; use a larger one, or a shorter text");
    }
}
