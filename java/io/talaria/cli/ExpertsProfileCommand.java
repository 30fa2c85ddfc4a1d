package io.talaria.cli;

import io.talaria.backend.Device;
import io.talaria.chat.ChatMl;
import io.talaria.chat.Message;
import io.talaria.chat.Role;
import io.talaria.engine.PromptRouting;
import io.talaria.eval.ExpertUse;
import io.talaria.eval.Question;
import io.talaria.gguf.AtomicFile;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.Model;
import io.talaria.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
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
        name = "profile",
        mixinStandardHelpOptions = true,
        description = "Runs texts through a model and counts which experts each layer chooses.")
final class ExpertsProfileCommand implements Callable<Integer> {
    private static final int CHUNK = 256;
    private static final long MAX_BYTES = 64L << 20;

    @Parameters(
            paramLabel = "MODEL",
            arity = "0..1",
            description = "Path of a GGUF file. Default: the model that ships with Talaria.")
    private String model;

    @Option(
            names = "--prompts",
            paramLabel = "FILE",
            description =
                    "Prompts, one a line; or, in a file whose name ends in .jsonl, questions with their answers, as"
                            + " 'eval accuracy' takes them. Default: the questions that ship with that model.")
    private Path prompts;

    @Option(names = "--raw", description = "Take prompts as they are, without ChatML around them.")
    private boolean raw;

    @Option(names = "--csv", paramLabel = "FILE", description = "Where the counts go, layer by layer.")
    private Path csv;

    @Option(names = "--svg", paramLabel = "FILE", description = "Where a picture of them goes.")
    private Path svg;

    @Mixin
    private DeviceOptions devices;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        if (prompts == null && model != null) {
            throw new BadArgumentException("--prompts: name a file of prompts for this model");
        }
        for (Map.Entry<String, Path> out : outputs().entrySet()) {
            OutFile.check(out.getKey(), out.getValue());
        }
        DeviceOptions.Choice choice = devices.choose();
        try (Model opened = ModelPath.openOrDefault(model)) {
            for (Map.Entry<String, Path> out : outputs().entrySet()) {
                OutFile.checkOther(out.getKey(), out.getValue(), opened.file().paths());
            }
            List<int[]> texts = texts(opened);
            ExpertUse use = count(opened, texts, choice);
            int used = opened.config().expertsUsed();
            if (csv != null) {
                write(csv, use.csv());
            }
            if (svg != null) {
                write(svg, use.svg("Experts of " + TerminalText.safe(name(opened)), used));
            }
            report(use, used, texts.size());
        }
        return ExitCode.OK;
    }

    private static String name(Model opened) throws IOException {
        return opened.file()
                .metadata()
                .string("general.name")
                .orElse(opened.file().paths().getFirst().getFileName().toString());
    }

    private Map<String, Path> outputs() {
        Map<String, Path> outputs = new LinkedHashMap<>();
        if (csv != null) {
            outputs.put("--csv", csv);
        }
        if (svg != null) {
            outputs.put("--svg", svg);
        }
        return outputs;
    }

    private List<int[]> texts(Model opened) throws IOException {
        Tokenizer tokenizer = opened.tokenizer();
        List<int[]> texts = new ArrayList<>();
        Path file = prompts == null ? ShippedModel.questions() : prompts;
        if (file.toString().endsWith(".jsonl")) {
            for (Question question : QuestionFile.read(file)) {
                List<Message> messages = new ArrayList<>(question.messages());
                messages.add(new Message(Role.ASSISTANT, question.answer()));
                texts.add(new ChatMl().encode(messages, false, tokenizer));
            }
        } else {
            if (!Files.isRegularFile(file) || Files.size(file) > MAX_BYTES) {
                throw new BadArgumentException(
                        "--prompts " + file + ": write the name of a file of at most " + (MAX_BYTES >> 20) + " MiB");
            }
            for (String line : Files.readAllLines(file)) {
                if (!line.isBlank()) {
                    texts.add(
                            raw
                                    ? tokenizer.encode(line, true, true)
                                    : new ChatMl().encode(List.of(new Message(Role.USER, line)), true, tokenizer));
                }
            }
        }
        for (int[] text : texts) {
            if (text.length > opened.config().context()) {
                throw new BadArgumentException(file + ": a prompt of " + text.length
                        + " tokens is longer than the model's context of "
                        + opened.config().context());
            }
        }
        if (texts.isEmpty()) {
            throw new BadArgumentException(file + ": there are no prompts in it");
        }
        return texts;
    }

    private static ExpertUse count(Model opened, List<int[]> texts, DeviceOptions.Choice choice) throws IOException {
        int longest = texts.stream().mapToInt(text -> text.length).max().orElseThrow();
        int chunk = Math.min(CHUNK, longest);
        DecoderOptions options = DecoderOptions.of(
                        choice.activations(), choice.kvType(), DecoderOptions.blocksFor(longest), chunk)
                .withRouting();
        ExpertUse use = new ExpertUse(opened.config().layers(), opened.config().experts());
        Progress progress = new Progress("Counting");
        try (Device device = choice.open();
                Decoder decoder = Decoder.load(opened, device, options, new Progress("Loading")::at)) {
            for (int i = 0; i < texts.size(); i++) {
                PromptRouting.run(decoder, texts.get(i), chunk, (layer, position, experts) -> use.add(layer, experts));
                progress.at(i + 1, texts.size());
            }
        }
        return use;
    }

    private static void write(Path path, String text) throws IOException {
        try (AtomicFile file = AtomicFile.create(path)) {
            file.write(ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
            file.commit();
        }
    }

    private void report(ExpertUse use, int used, int texts) {
        if (json) {
            Map<String, Object> facts = new LinkedHashMap<>();
            facts.put("texts", texts);
            facts.put("tokens", use.tokens());
            facts.put("experts_used", used);
            facts.put("least_share", use.leastShare());
            List<List<Double>> layers = new ArrayList<>();
            for (int layer = 0; layer < use.layers(); layer++) {
                List<Double> shares = new ArrayList<>();
                for (int expert = 0; expert < use.experts(); expert++) {
                    shares.add(use.share(layer, expert));
                }
                layers.add(shares);
            }
            facts.put("shares", layers);
            Json.print(facts);
            return;
        }
        System.out.printf("%d texts, %d tokens, %d experts for each%n", texts, use.tokens(), used);
        for (int layer = 0; layer < use.layers(); layer++) {
            StringBuilder line = new StringBuilder("layer %2d".formatted(layer));
            for (int expert = 0; expert < use.experts(); expert++) {
                line.append("  %5.1f %%".formatted(100 * use.share(layer, expert)));
            }
            System.out.println(line);
        }
        System.out.printf("least used: %.1f %% of the tokens%n", 100 * use.leastShare());
    }
}
