package io.talaria.sampling;

import java.util.OptionalDouble;

/**
 * The tokens that may come next.
 *
 * @param tokens ids, most likely first
 * @param logits theirs, after all adjustments, in the same order
 * @param logSumExp of the logits of the whole vocabulary, if those are the logits here: known of a model's own logits,
 *     but not of adjusted or masked ones
 */
public record Candidates(int[] tokens, float[] logits, OptionalDouble logSumExp) {
    /** @throws IllegalArgumentException if there are no tokens, or not a logit for each */
    public Candidates {
        if (tokens.length == 0 || tokens.length != logits.length) {
            throw new IllegalArgumentException(tokens.length + " candidates with " + logits.length + " logits");
        }
    }
}
