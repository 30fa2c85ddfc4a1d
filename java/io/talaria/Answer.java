package io.talaria;

import io.talaria.engine.FinishReason;
import java.util.List;

/**
 * What a model has written.
 *
 * @param text without the stop string or token that ended it
 * @param tokens all of its tokens, also those of a stop string; not the stop token that ended it, which
 *     {@code completionTokens} counts
 * @param finishReason why it ended
 * @param promptTokens tokens of the prompt
 * @param cachedTokens those of them that were in the KV cache already
 * @param completionTokens how many tokens were written
 * @param prefillSeconds from the beginning of the work to the first token; waiting for other prompts is not in it
 * @param decodeSeconds from the first token to the last
 * @param seed of the random numbers; with it and the same options the model writes the same again, in any company if the
 *     model was opened batch-invariant
 */
public record Answer(
        String text,
        List<Integer> tokens,
        FinishReason finishReason,
        int promptTokens,
        int cachedTokens,
        int completionTokens,
        double prefillSeconds,
        double decodeSeconds,
        long seed) {
    public Answer {
        tokens = List.copyOf(tokens);
    }

    /** Tokens of the prompt per second, without those that were in the cache; 0 if it was not read to its end. */
    public double prefillTokensPerSecond() {
        return completionTokens == 0 ? 0 : (promptTokens - cachedTokens) / Math.max(1e-9, prefillSeconds);
    }

    /** Tokens per second after the first; 0 if there were none. */
    public double decodeTokensPerSecond() {
        return Math.max(0, completionTokens - 1) / Math.max(1e-9, decodeSeconds);
    }
}
