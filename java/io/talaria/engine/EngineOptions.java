package io.talaria.engine;

/**
 * The limits of an engine.
 *
 * @param context positions of one text, prompt and answer, at most
 * @param parallel texts in work at once, at most; others wait for their turn
 */
public record EngineOptions(int context, int parallel) {
    /** @throws IllegalArgumentException if a number is out of its range */
    public EngineOptions {
        if (context < 2) {
            throw new IllegalArgumentException("a context has at least 2 positions, not " + context);
        }
        if (parallel < 1 || parallel > 1 << 12) {
            throw new IllegalArgumentException("1 to 4096 texts are in work at once, not " + parallel);
        }
    }
}
