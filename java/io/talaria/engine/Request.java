package io.talaria.engine;

import io.talaria.sampling.SamplingParameters;
import java.util.Set;

/**
 * A prompt, and how to go on.
 *
 * @param prompt token ids, at least one
 * @param maxTokens tokens of the answer at most, at least 1; it also ends where the context is full
 * @param stopTokens tokens with which the model ends its answer; they count as tokens of it
 * @param sampling how the tokens are chosen
 */
public record Request(int[] prompt, int maxTokens, Set<Integer> stopTokens, SamplingParameters sampling) {
    /** @throws IllegalArgumentException if there is no prompt, or nothing to be answered */
    public Request {
        if (prompt.length == 0) {
            throw new IllegalArgumentException("the prompt has no tokens");
        }
        if (maxTokens < 1) {
            throw new IllegalArgumentException("an answer has at least 1 token, not " + maxTokens);
        }
        prompt = prompt.clone();
        stopTokens = Set.copyOf(stopTokens);
    }
}
