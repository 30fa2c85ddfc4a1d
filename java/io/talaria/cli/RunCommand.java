package io.talaria.cli;

import io.talaria.chat.Message;
import io.talaria.chat.Role;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(name = "run", mixinStandardHelpOptions = true, description = "One answer, always the most likely next token.")
final class RunCommand implements Callable<Integer> {
    @Parameters(
            paramLabel = "MODEL",
            arity = "0..1",
            description = "Path of a GGUF file. Default: a random test model.")
    private String model;

    @Option(
            names = {"-p", "--prompt"},
            required = true,
            paramLabel = "TEXT",
            description = "What to answer.")
    private String prompt;

    @Option(
            names = {"-n", "--max-tokens"},
            paramLabel = "N",
            description = "Tokens of the answer at most. Default: ${DEFAULT-VALUE}.")
    private int maxTokens = 128;

    @Option(names = "--raw", description = "Go on with the text as it is, without ChatML around it.")
    private boolean raw;

    @Mixin
    private DeviceOptions devices;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        if (maxTokens < 1) {
            throw new BadArgumentException("-n " + maxTokens + ": an answer has at least 1 token");
        }
        DeviceOptions.Choice choice = devices.choose();
        try (Talker talker = Talker.load(ModelPath.openOrDefault(model), choice)) {
            int[] tokens = raw
                    ? talker.tokenizer()
                            .encode(prompt, talker.tokenizer().vocabulary().addBos(), true)
                    : talker.encode(List.of(new Message(Role.USER, prompt)));
            Talker.Answer answer = talker.answer(tokens, maxTokens, piece -> {
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

    private static void print(Talker.Answer answer) {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("text", answer.text());
        facts.put("prompt_tokens", answer.promptTokens());
        facts.put("completion_tokens", answer.completionTokens());
        facts.put("finish_reason", answer.finishReason());
        facts.put("prefill_tokens_per_second", answer.promptTokens() / answer.prefillSeconds());
        facts.put("decode_tokens_per_second", (answer.completionTokens() - 1) / Math.max(1e-9, answer.decodeSeconds()));
        Json.print(facts);
    }
}
