package io.talaria.cli;

import io.talaria.GenerateOptions;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** The options of every command that writes answers. */
final class SamplingOptions {
    @Option(
            names = {"-n", "--max-tokens"},
            paramLabel = "N",
            description = "Tokens of an answer at most. Default: ${DEFAULT-VALUE}.")
    private int maxTokens = GenerateOptions.DEFAULT_MAX_TOKENS;

    @Option(
            names = {"--temp", "--temperature"},
            paramLabel = "T",
            description = "0: always the most likely token; below 1 sharper, above 1 flatter than the model."
                    + " Default: ${DEFAULT-VALUE}.")
    private double temperature = GenerateOptions.DEFAULT_TEMPERATURE;

    @Option(
            names = "--top-k",
            paramLabel = "K",
            description = "Only the K most likely tokens, at most 1024; 0: 1024. Default: ${DEFAULT-VALUE}.")
    private int topK = GenerateOptions.DEFAULT_TOP_K;

    @Option(
            names = "--top-p",
            paramLabel = "P",
            description = "Only the most likely tokens that together have probability P. Default: ${DEFAULT-VALUE}.")
    private double topP = GenerateOptions.DEFAULT_TOP_P;

    @Option(
            names = "--min-p",
            paramLabel = "P",
            description = "Only tokens at least P times as likely as the most likely one. Default: ${DEFAULT-VALUE}.")
    private double minP = GenerateOptions.DEFAULT_MIN_P;

    @Option(
            names = "--repeat-penalty",
            paramLabel = "X",
            description = "What the logits of repeated tokens are divided by; 1: nothing. Default: ${DEFAULT-VALUE}.")
    private double repeatPenalty = GenerateOptions.DEFAULT_REPEAT_PENALTY;

    @Option(
            names = "--repeat-last-n",
            paramLabel = "N",
            description = "Tokens of prompt and answer that this looks back on; -1: all. Default: ${DEFAULT-VALUE}.")
    private int repeatLastN = GenerateOptions.DEFAULT_REPEAT_LAST_N;

    @Option(
            names = "--presence-penalty",
            paramLabel = "X",
            description = "Subtracted from the logits of tokens that are in the answer. Default: ${DEFAULT-VALUE}.")
    private double presencePenalty;

    @Option(
            names = "--frequency-penalty",
            paramLabel = "X",
            description = "Subtracted as often as a token is in the answer. Default: ${DEFAULT-VALUE}.")
    private double frequencyPenalty;

    @Option(
            names = "--seed",
            paramLabel = "N",
            description = "The same seed gives the same answer. Default: a new one each time.")
    private Long seed;

    @Option(
            names = "--stop",
            paramLabel = "TEXT",
            description = "Ends an answer before this text; may be given several times.")
    private List<String> stops = new ArrayList<>();

    GenerateOptions choose() {
        if (maxTokens < 1) {
            throw new BadArgumentException("-n " + maxTokens + ": an answer has at least 1 token");
        }
        GenerateOptions.Builder options = GenerateOptions.builder()
                .maxTokens(maxTokens)
                .temperature(temperature)
                .topK(topK)
                .topP(topP)
                .minP(minP)
                .repeatPenalty(repeatPenalty)
                .repeatLastN(repeatLastN)
                .presencePenalty(presencePenalty)
                .frequencyPenalty(frequencyPenalty);
        stops.forEach(options::stop);
        if (seed != null) {
            options.seed(seed);
        }
        try {
            return options.build();
        } catch (IllegalArgumentException e) {
            throw new BadArgumentException(e.getMessage());
        }
    }
}
