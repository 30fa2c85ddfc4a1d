package io.talaria.cli;

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
            description = "Path of a GGUF file. Default: a random test model.")
    private String model;

    @Option(names = "--system", paramLabel = "TEXT", description = "Instructions for the whole conversation.")
    private String system;

    @Option(
            names = {"-n", "--max-tokens"},
            paramLabel = "N",
            description = "Tokens of an answer at most. Default: ${DEFAULT-VALUE}.")
    private int maxTokens = 1024;

    @Mixin
    private DeviceOptions devices;

    @Override
    public Integer call() throws IOException {
        if (maxTokens < 1) {
            throw new BadArgumentException("-n " + maxTokens + ": an answer has at least 1 token");
        }
        DeviceOptions.Choice choice = devices.choose();
        try (Talker talker = Talker.load(ModelPath.openOrDefault(model), choice);
                ChatInput input = input()) {
            System.err.println("On " + choice.device() + ". /help lists the commands, Ctrl-D ends the conversation.");
            input.onInterrupt(talker::cancel);
            Conversation conversation = new Conversation(talker, maxTokens, system);
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
