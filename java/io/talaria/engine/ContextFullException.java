package io.talaria.engine;

/** A text does not fit into the context that was set aside for it. */
public final class ContextFullException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    ContextFullException(int positions) {
        super("the context is full after " + positions + " tokens; use a larger one, or a shorter text");
    }

    /**
     * @param prompt tokens of the prompt
     * @param context positions that there are
     */
    public ContextFullException(int prompt, int context) {
        super("the prompt has " + prompt + " tokens and the context " + context
                + ", of which the answer needs at least 1; use a larger context, or a shorter prompt");
    }
}
