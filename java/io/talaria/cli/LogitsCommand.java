package io.talaria.cli;

import io.talaria.engine.PromptLogits;
import io.talaria.gguf.AtomicFile;
import io.talaria.model.DecoderOptions;
import io.talaria.model.Model;
import io.talaria.placement.Deployment;
import io.talaria.placement.PlanSetting;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "logits",
        mixinStandardHelpOptions = true,
        description = "Every position's logits, as little-endian float32: [tokens][vocabulary].")
final class LogitsCommand implements Callable<Integer> {
    private static final int DEFAULT_CHUNK = 512;
    private static final int MAX_ROWS = 1 << 16;

    @Parameters(paramLabel = "MODEL", description = "Path of a GGUF file.")
    private String model;

    @Option(names = "--tokens", required = true, paramLabel = "1,2,3", description = "Token ids of the text.")
    private String tokens;

    @Option(names = "--out", required = true, paramLabel = "FILE", description = "Where the logits go.")
    private Path out;

    @Option(
            names = "--chunk",
            paramLabel = "N",
            description = "Tokens per batch; 1 goes step by step, as decoding does. Default: ${DEFAULT-VALUE}.")
    private int chunk = DEFAULT_CHUNK;

    @Option(
            names = "--with",
            paramLabel = "FILE",
            description = "Another list of token ids (one line of numbers) to run in the same batches.")
    private Path with;

    @Mixin
    private DeviceOptions devices;

    @Mixin
    private SplitOptions split;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        OutFile.check("--out", out);
        DeviceOptions.Choice choice = split.choose(devices);
        try (Model opened = ModelPath.open(model)) {
            OutFile.checkOther("--out", out, opened.file().paths());
            List<int[]> lists = new ArrayList<>();
            lists.add(TokenList.parse("--tokens", tokens, opened.config()));
            if (with != null) {
                OutFile.checkOther("--out", out, List.of(with));
                lists.add(TokenList.parse("--with " + with, TokenList.readFile(with), opened.config()));
            }
            run(opened, lists, choice);
        }
        return ExitCode.OK;
    }

    private void run(Model opened, List<int[]> lists, DeviceOptions.Choice choice) throws IOException {
        int longest = lists.stream().mapToInt(list -> list.length).max().orElseThrow();
        if (chunk < 1 || (long) Math.min(chunk, longest) * lists.size() > MAX_ROWS) {
            throw new BadArgumentException("--chunk " + chunk + ": a batch has 1 to " + MAX_ROWS + " rows");
        }
        int perBatch = Math.min(chunk, longest);
        int blocks = lists.stream()
                .mapToInt(list -> DecoderOptions.blocksFor(list.length))
                .sum();
        DecoderOptions options = DecoderOptions.of(
                        choice.activations(), choice.kvType(), blocks, perBatch * lists.size())
                .withLogits();
        PlanSetting plain =
                new PlanSetting(options, decoder -> PromptLogits.prepare(decoder, lists, perBatch), Optional.empty());
        PlanSetting setting = split.streaming().apply(plain, opened, choice.devices(), 0);
        Progress loading = new Progress("Loading");
        Progress computing = new Progress("Computing");
        int rows = lists.getFirst().length;
        try (AtomicFile file = AtomicFile.create(out);
                Deployment deployment = Deployment.open(
                        opened,
                        choice.devices(),
                        choice.opening(),
                        split.places(opened, choice),
                        setting,
                        loading::at)) {
            if (deployment.plan().isPresent()) {
                split.write(choice.devices(), deployment.plan().get());
            }
            PromptLogits.run(deployment.decoder(), lists, perBatch, position -> true, (position, logits) -> {
                file.write(bytes(logits));
                computing.at(position + 1, rows);
            });
            file.commit();
            Map<String, Object> facts = new LinkedHashMap<>();
            facts.put("rows", rows);
            facts.put("columns", opened.config().vocabulary());
            facts.put("activation_block", choice.activations().block());
            facts.put(
                    "device",
                    deployment.devices().stream()
                            .map(device -> device.info().device())
                            .collect(Collectors.joining(",")));
            facts.put("activations", choice.activations().name().toLowerCase(Locale.ROOT));
            facts.put("kv", choice.kvType().name().toLowerCase(Locale.ROOT));
            facts.put("chunk", perBatch);
            if (json) {
                Json.print(facts);
            } else {
                System.out.printf(
                        "%s: %d rows of %d logits%n", out, rows, opened.config().vocabulary());
            }
        }
    }

    private static ByteBuffer bytes(FloatBuffer logits) {
        ByteBuffer bytes = ByteBuffer.allocate(logits.remaining() * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(logits);
        return bytes;
    }
}
