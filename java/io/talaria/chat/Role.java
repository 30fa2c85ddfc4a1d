package io.talaria.chat;

import java.util.Locale;

/** Who speaks in a {@link Message}. */
public enum Role {
    /** Instructions for the whole conversation. */
    SYSTEM,
    /** The person. */
    USER,
    /** The model. */
    ASSISTANT,
    /** The result of a function that the model called. */
    TOOL;

    /** The name as templates and the APIs write it: the constant in lower case. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
