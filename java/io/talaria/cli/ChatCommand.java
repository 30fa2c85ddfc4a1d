package io.talaria.cli;

import io.talaria.Answer;
import io.talaria.GenerateOptions;
import io.talaria.Prompt;
import io.talaria.Talaria;
import io.talaria.chat.Message;
import io.talaria.chat.Role;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(name = "chat", mixinStandardHelpOptions = true, description = "A conversation in the terminal.")
final class ChatCommand implements Callable<Integer> {
    @Parameters(
            paramLabel = "MODEL",
            arity = "0..1",
            description = "Path of a GGUF file. Default: a random test model.")
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
        try (Talaria talaria = talk.open(model)) {
            System.err.println("On " + talaria.device().device() + ". An empty line or Ctrl-D ends the conversation.");
            converse(talaria, options);
        }
        return ExitCode.OK;
    }

    private void converse(Talaria talaria, GenerateOptions options) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        List<Message> messages = new ArrayList<>();
        if (system != null) {
            messages.add(new Message(Role.SYSTEM, system));
        }
        for (String line = ask(lines); line != null && !line.isBlank(); line = ask(lines)) {
            messages.add(new Message(Role.USER, line));
            Answer answer = talaria.generate(Prompt.chat(messages), options, piece -> {
                System.out.print(TerminalText.safe(piece));
                System.out.flush();
            });
            System.out.println();
            messages.add(new Message(Role.ASSISTANT, answer.text()));
        }
    }

    private static String ask(BufferedReader lines) throws IOException {
        System.err.print("> ");
        System.err.flush();
        return lines.readLine();
    }
}
