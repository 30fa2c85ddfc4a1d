package io.talaria.engine;

/**
 * What became of a request.
 *
 * @param cachedTokens tokens of the prompt that were in the KV cache already
 * @param completionTokens tokens of the answer, with the one that ended it
 * @param prefillSeconds from the beginning of the work to the first token
 * @param decodeSeconds from the first token to the last
 */
public record Completion(
        FinishReason reason,
        int promptTokens,
        int cachedTokens,
        int completionTokens,
        double prefillSeconds,
        double decodeSeconds) {}
