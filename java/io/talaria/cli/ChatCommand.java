package io.talaria.cli;

import io.talaria.GenerateOptions;
import io.talaria.Talaria;
import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(name = "chat", mixinStandardHelpOptions = true, description = "A conversation in the terminal.")
final class ChatCommand implements Callable<Integer> {
    /** The launcher sets it where standard input is a terminal. */
    private static final String KEYBOARD = "talaria.keyboard";

    @Parameters(
            paramLabel = "MODEL",
            arity = "0..1",
            description = "Path of a GGUF file. Default: the small model that ships with Talaria.")
    private String model;

    @Option(names = "--system", paramLabel = "TEXT", description = "Instructions for the whole conversation.")
    private String system;

    @Mixin
    private SamplingOptions sampling;

    @Mixin
    private TalkOptions talk;

    @Override
    public Integer call() throws IOException {
        GenerateOptions options = sampling.choose();
        try (Talaria talaria = talk.open(model);
                ChatInput input = input()) {
            if (model == null) {
                System.err.println(
                        "Talaria's own small model, for sums, words, lists and small facts. For real answers name"
                                + " a GGUF file of Nous-Hermes-2-Mixtral-8x7B-DPO.");
            }
            System.err.println(
                    "On " + talaria.device().device() + ". /help lists the commands, Ctrl-D ends the conversation.");
            ModelAnswerer answerer = new ModelAnswerer(talaria, options);
            input.onInterrupt(answerer::cancel);
            Conversation conversation = new Conversation(answerer, options.maxTokens(), system);
            String typed = input.next();
            while (typed != null && conversation.take(typed)) {
                typed = input.next();
            }
        }
        return ExitCode.OK;
    }

    /** Opened after the model is loaded: until then Ctrl-C ends the program. */
    private static ChatInput input() throws IOException {
        return Boolean.getBoolean(KEYBOARD) ? TerminalInput.open(Conversation.COMMANDS) : new StreamInput(System.in);
    }
}
