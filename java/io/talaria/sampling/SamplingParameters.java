package io.talaria.sampling;

import java.util.Map;

/**
 * How tokens are chosen. {@link Sampler} and {@link Penalties} say in which order these apply.
 *
 * @param temperature 0 for always the most likely token; below 1 sharper, above 1 flatter than the model
 * @param topK only so many of the most likely tokens; 0 for as many as a device returns,
 *     {@value Sampler#MAX_CANDIDATES}, which also is the most
 * @param topP only the most likely tokens that together have this probability; 1 for all
 * @param minP only tokens at least this many times as likely as the most likely one; 0 for all
 * @param repeatPenalty what logits of repeated tokens are divided by, or multiplied by where negative; 1 for no penalty
 * @param repeatLastN tokens of prompt and answer that the repeat penalty looks back on; -1 for all
 * @param presencePenalty subtracted from the logits of all tokens that are in the answer
 * @param frequencyPenalty subtracted from a token's logit as often as it is in the answer
 * @param logitBias added to the logits of these tokens
 * @param seed of the random numbers: the same logits and seed give the same tokens
 */
public record SamplingParameters(
        double temperature,
        int topK,
        double topP,
        double minP,
        double repeatPenalty,
        int repeatLastN,
        double presencePenalty,
        double frequencyPenalty,
        Map<Integer, Float> logitBias,
        long seed) {
    /** Always the most likely token. */
    public static final SamplingParameters GREEDY = new SamplingParameters(0, 0, 1, 0, 1, 0, 0, 0, Map.of(), 0);

    /** @throws IllegalArgumentException if a number is out of its range; the message names it */
    public SamplingParameters {
        check("temperature", temperature, 0, Float.MAX_VALUE);
        check("top-k", topK, 0, Integer.MAX_VALUE);
        check("top-p", topP, 0, 1);
        check("min-p", minP, 0, 1);
        check("repeat penalty", repeatPenalty, 0.01, 100);
        check("repeat-last-n", repeatLastN, -1, Integer.MAX_VALUE);
        check("presence penalty", presencePenalty, -100, 100);
        check("frequency penalty", frequencyPenalty, -100, 100);
        logitBias.forEach((token, bias) -> check("logit bias of token " + token, bias, -1e6, 1e6));
        logitBias = Map.copyOf(logitBias);
    }

    /** The same with another seed. */
    public SamplingParameters withSeed(long other) {
        return new SamplingParameters(
                temperature,
                topK,
                topP,
                minP,
                repeatPenalty,
                repeatLastN,
                presencePenalty,
                frequencyPenalty,
                logitBias,
                other);
    }

    private static void check(String name, double value, double low, double high) {
        if (!(value >= low && value <= high)) {
            String range = high >= Integer.MAX_VALUE
                    ? number(low) + " or more"
                    : "from " + number(low) + " to " + number(high);
            throw new IllegalArgumentException(name + " " + number(value) + ": it must be " + range);
        }
    }

    private static String number(double value) {
        return value == Math.rint(value) && Math.abs(value) < 1e9
                ? Long.toString((long) value)
                : Double.toString(value);
    }
}
