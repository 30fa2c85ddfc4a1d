package io.talaria.cli;

import java.nio.file.Path;

/** The small model that comes with Talaria, and what it is examined on. */
final class ShippedModel {
    /** The launcher sets it to the project's folder. */
    private static final String HOME = "talaria.home";

    private ShippedModel() {}

    static Path model() {
        return folder().resolve("talaria-small-Q8_0.gguf");
    }

    static Path questions() {
        return folder().resolve("questions.jsonl");
    }

    private static Path folder() {
        return Path.of(System.getProperty(HOME, ".")).resolve("models").resolve("talaria-small");
    }
}
