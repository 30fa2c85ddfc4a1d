package io.talaria;

import io.talaria.sampling.SamplingParameters;
import io.talaria.sampling.StopMatcher;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;

/**
 * How an answer is written. Immutable.
 *
 * <p>{@link io.talaria.sampling.Sampler} says in which order the filters apply, {@link io.talaria.sampling.Penalties} what
 * the penalties do. The defaults are those of llama.cpp, which users of GGUF files know: temperature 0.8 (which the model's
 * card recommends as well), top-k 40, top-p 0.95, min-p 0.05, no penalties, a new seed for each answer. An answer has at
 * most {@value #DEFAULT_MAX_TOKENS} tokens.
 */
public final class GenerateOptions {
    public static final int DEFAULT_MAX_TOKENS = 512;
    public static final double DEFAULT_TEMPERATURE = 0.8;
    public static final int DEFAULT_TOP_K = 40;
    public static final double DEFAULT_TOP_P = 0.95;
    public static final double DEFAULT_MIN_P = 0.05;
    public static final double DEFAULT_REPEAT_PENALTY = 1;
    public static final int DEFAULT_REPEAT_LAST_N = 64;

    /** Everything as by default. */
    public static final GenerateOptions DEFAULT = builder().build();

    /** Always the most likely token; the rest as by default. */
    public static final GenerateOptions GREEDY = builder().temperature(0).build();

    /** New seeds are below this, so that they survive JSON, where numbers are doubles. */
    private static final long SEEDS = 1L << 53;

    private final int maxTokens;
    private final List<String> stops;
    private final SamplingParameters sampling;
    private final boolean seeded;

    private GenerateOptions(int maxTokens, List<String> stops, SamplingParameters sampling, boolean seeded) {
        this.maxTokens = maxTokens;
        this.stops = stops;
        this.sampling = sampling;
        this.seeded = seeded;
    }

    public static Builder builder() {
        return new Builder();
    }

    /** Tokens of an answer at most. */
    public int maxTokens() {
        return maxTokens;
    }

    List<String> stops() {
        return stops;
    }

    /** How to choose tokens, with the seed that was set or a new one. */
    SamplingParameters sampling() {
        return seeded ? sampling : sampling.withSeed(ThreadLocalRandom.current().nextLong(SEEDS));
    }

    /** Collects options. */
    public static final class Builder {
        private int maxTokens = DEFAULT_MAX_TOKENS;
        private final List<String> stops = new ArrayList<>();
        private double temperature = DEFAULT_TEMPERATURE;
        private int topK = DEFAULT_TOP_K;
        private double topP = DEFAULT_TOP_P;
        private double minP = DEFAULT_MIN_P;
        private double repeatPenalty = DEFAULT_REPEAT_PENALTY;
        private int repeatLastN = DEFAULT_REPEAT_LAST_N;
        private double presencePenalty;
        private double frequencyPenalty;
        private final Map<Integer, Float> logitBias = new LinkedHashMap<>();
        private Long seed;

        private Builder() {}

        /** Tokens of the answer at most, from 1 on; it also ends where the context is full. */
        public Builder maxTokens(int most) {
            maxTokens = most;
            return this;
        }

        /** Ends the answer before this text; may be called several times. */
        public Builder stop(String text) {
            stops.add(text);
            return this;
        }

        /** 0 for always the most likely token; below 1 sharper, above 1 flatter than the model. */
        public Builder temperature(double value) {
            temperature = value;
            return this;
        }

        /** Only the k most likely tokens, at most 1024; 0 for 1024. */
        public Builder topK(int k) {
            topK = k;
            return this;
        }

        /** Only the most likely tokens that together have this probability; 1 for all. */
        public Builder topP(double p) {
            topP = p;
            return this;
        }

        /** Only tokens at least p times as likely as the most likely one; 0 for all. */
        public Builder minP(double p) {
            minP = p;
            return this;
        }

        /** Makes tokens of the last part of prompt and answer less likely, if above 1. */
        public Builder repeatPenalty(double penalty) {
            repeatPenalty = penalty;
            return this;
        }

        /** How many tokens that is; -1 for all. */
        public Builder repeatLastN(int tokens) {
            repeatLastN = tokens;
            return this;
        }

        /** Subtracted from the logits of all tokens that are in the answer. */
        public Builder presencePenalty(double penalty) {
            presencePenalty = penalty;
            return this;
        }

        /** Subtracted from a token's logit as often as it is in the answer. */
        public Builder frequencyPenalty(double penalty) {
            frequencyPenalty = penalty;
            return this;
        }

        /** Added to the logit of a token. */
        public Builder logitBias(int token, float bias) {
            logitBias.put(token, bias);
            return this;
        }

        /** Begins the random numbers: the same seed, the same answer. */
        public Builder seed(long value) {
            seed = value;
            return this;
        }

        /** @throws IllegalArgumentException if a number is out of its range, or a stop string is empty */
        public GenerateOptions build() {
            if (maxTokens < 1) {
                throw new IllegalArgumentException("an answer has at least 1 token, not " + maxTokens);
            }
            stops.forEach(StopMatcher::check);
            SamplingParameters sampling = new SamplingParameters(
                    temperature,
                    topK,
                    topP,
                    minP,
                    repeatPenalty,
                    repeatLastN,
                    presencePenalty,
                    frequencyPenalty,
                    logitBias,
                    seed == null ? 0 : seed);
            return new GenerateOptions(maxTokens, List.copyOf(stops), sampling, seed != null);
        }
    }
}
