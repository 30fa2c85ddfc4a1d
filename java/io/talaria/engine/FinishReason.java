package io.talaria.engine;

import java.util.Locale;

/** Why an answer ended. */
public enum FinishReason {
    /** The model ended it, or it came to a stop string. */
    STOP,
    /** It reached the most tokens that were asked for, or filled the context. */
    LENGTH,
    /** Somebody cancelled it. */
    CANCELLED;

    /** The name as the APIs write it: the constant in lower case. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
