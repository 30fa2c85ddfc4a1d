package io.talaria.cli;

/** A prompt or conversation that leaves no room in the context for an answer. */
final class PromptTooLongException extends BadArgumentException {
    private static final long serialVersionUID = 1L;

    private final int tokens;
    private final int context;

    PromptTooLongException(int tokens, int context) {
        super("the prompt has " + tokens + " tokens and the context " + context + "; use a shorter one");
        this.tokens = tokens;
        this.context = context;
    }

    int tokens() {
        return tokens;
    }

    int context() {
        return context;
    }
}
