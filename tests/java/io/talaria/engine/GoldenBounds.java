package io.talaria.engine;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GoldenModels;
import io.talaria.GoldenModels.Prompt;
import java.util.Arrays;

/** How far a device's logits may be from the golden ones. */
final class GoldenBounds {
    static final double HALF = 1.5e-6;
    /** A median over fewer rows says nothing of int8 rounding, which turns choices over here and there. */
    private static final int ENOUGH_ROWS = 20;

    private GoldenBounds() {}

    /** @param computed the prompt's known rows, {@code [row][V]} */
    static void assertHalf(Prompt prompt, float[][] computed, Object how) {
        double median = GoldenModels.median(prompt.errors(computed));
        assertTrue(median <= HALF, () -> prompt.file() + " " + prompt.number() + " " + how + ": " + median);
    }

    /** Whether the prompt's rows say something of int8. */
    static boolean isEnoughForInt8(Prompt prompt) {
        return prompt.rows().length >= ENOUGH_ROWS;
    }

    /** @param computed the prompt's known rows, {@code [row][V]} */
    static void assertInt8(Prompt prompt, float[][] computed, Object how) {
        double[] errors = prompt.errors(computed);
        double median = GoldenModels.median(errors);
        String what = prompt.file() + " " + prompt.number() + " " + how + ": ";
        if (prompt.int8Median(32).isEmpty()) {
            assertTrue(median <= HALF, what + median);
            return;
        }
        int stated = prompt.int8RowsOver(32);
        if (stated * 10 > errors.length) {
            return; // more than one row in ten flips by rounding alone: such prompts are held to half
        }
        double bound = 1.3 * prompt.int8Median(32).get();
        assertTrue(median <= bound, what + median + ", bound " + bound);
        long over = Arrays.stream(errors).filter(error -> error > 1e-2).count();
        assertTrue(over <= stated + errors.length / 10.0, what + over + " rows over 1e-2, stated " + stated);
    }
}
