package io.talaria.cli;

import io.talaria.Answer;
import io.talaria.GenerateOptions;
import io.talaria.Prompt;
import io.talaria.Talaria;
import io.talaria.chat.Message;
import io.talaria.chat.Role;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "run",
        mixinStandardHelpOptions = true,
        description = "One answer. How its tokens are chosen is as in llama.cpp unless options say otherwise.")
final class RunCommand implements Callable<Integer> {
    @Parameters(
            paramLabel = "MODEL",
            arity = "0..1",
            description = "Path of a GGUF file. Default: the small model that ships with Talaria.")
    private String model;

    @Option(
            names = {"-p", "--prompt"},
            required = true,
            paramLabel = "TEXT",
            description = "What to answer; - reads it from standard input.")
    private String prompt;

    @Option(names = "--system", paramLabel = "TEXT", description = "Instructions that come before the prompt.")
    private String system;

    @Option(names = "--raw", description = "Go on with the text as it is, without ChatML around it.")
    private boolean raw;

    @Mixin
    private SamplingOptions sampling;

    @Mixin
    private TalkOptions talk;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        if (raw && system != null) {
            throw new BadArgumentException("--system goes with ChatML, not with --raw");
        }
        GenerateOptions options = sampling.choose();
        try (Talaria talaria = talk.open(model)) {
            Answer answer = talaria.generate(prompt(), options, piece -> {
                if (!json) {
                    System.out.print(TerminalText.safe(piece));
                    System.out.flush();
                }
            });
            if (json) {
                print(answer);
            } else {
                System.out.println();
            }
        }
        return ExitCode.OK;
    }

    private Prompt prompt() throws IOException {
        String text = prompt.equals("-") ? new String(System.in.readAllBytes(), StandardCharsets.UTF_8) : prompt;
        if (raw) {
            return Prompt.raw(text);
        }
        List<Message> messages = new ArrayList<>();
        if (system != null) {
            messages.add(new Message(Role.SYSTEM, system));
        }
        messages.add(new Message(Role.USER, text));
        return Prompt.chat(messages);
    }

    private static void print(Answer answer) {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("text", answer.text());
        facts.put("prompt_tokens", answer.promptTokens());
        facts.put("completion_tokens", answer.completionTokens());
        facts.put("finish_reason", answer.finishReason().label());
        facts.put("prefill_tokens_per_second", answer.prefillTokensPerSecond());
        facts.put("decode_tokens_per_second", answer.decodeTokensPerSecond());
        facts.put("seed", answer.seed());
        Json.print(facts);
    }
}
