package io.talaria.model;

import java.util.EnumSet;
import java.util.Set;

/** The verbs of the forward pass, in its order, by the names that {@link io.talaria.backend.DecoderOps} has for them. */
public enum Verb {
    EMBED("embed"),
    ATTENTION_INPUT("attentionInput"),
    ATTENTION("attention"),
    ATTENTION_OUTPUT("attentionOutput"),
    ROUTE("route"),
    EXPERTS("experts"),
    ADD_SLOTS("addSlots"),
    TOP_LOGITS("topLogits");

    static final Set<Verb> ALL = Set.copyOf(EnumSet.allOf(Verb.class));

    private final String text;

    Verb(String text) {
        this.text = text;
    }

    @Override
    public String toString() {
        return text;
    }
}
