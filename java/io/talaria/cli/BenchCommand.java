package io.talaria.cli;

import io.talaria.backend.Device;
import io.talaria.backend.DeviceInfo;
import io.talaria.bench.Bench;
import io.talaria.bench.MemoryModules;
import io.talaria.bench.Recipe;
import io.talaria.bench.Synthesizer;
import io.talaria.bench.SyntheticShape;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.ExpertLayout;
import io.talaria.model.Model;
import io.talaria.model.ModelSummary;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "bench",
        mixinStandardHelpOptions = true,
        description = "How fast a model reads prompts and writes text, beside what the memory could do.")
final class BenchCommand implements Callable<Integer> {
    private static final long BANDWIDTH_BYTES = 1L << 30;

    @Parameters(paramLabel = "MODEL", arity = "0..1", description = "Path of a GGUF file.")
    private String model;

    @Option(
            names = "--synthetic",
            paramLabel = "SHAPE:FORMAT",
            description = "A made-up model instead, such as nano:Q8_0 or mixtral-8x7b:Q4_K_M (a file of 28 GB).")
    private String synthetic;

    @Option(names = "--layers", paramLabel = "N", description = "So many layers of the made-up model.")
    private Integer layers;

    @Option(names = "-p", paramLabel = "N", description = "Prompt tokens; 0 for none. Default: ${DEFAULT-VALUE}.")
    private int prompt = 512;

    @Option(names = "-n", paramLabel = "N", description = "Tokens to write; 0 for none. Default: ${DEFAULT-VALUE}.")
    private int tokens = 128;

    @Option(
            names = "-d",
            paramLabel = "DEPTH",
            description = "Tokens that are there before. Default: ${DEFAULT-VALUE}.")
    private int depth = 0;

    @Option(names = "-r", paramLabel = "N", description = "Repetitions; the median counts. Default: ${DEFAULT-VALUE}.")
    private int repetitions = 5;

    @Option(names = "--batch", paramLabel = "N", description = "Prompt tokens per batch. Default: ${DEFAULT-VALUE}.")
    private int batch = 512;

    @Mixin
    private DeviceOptions devices;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Option(names = "--csv", description = "Comma-separated values.")
    private boolean csv;

    @Option(names = "--md", description = "A Markdown table.")
    private boolean markdown;

    @Override
    public Integer call() throws IOException {
        check(prompt >= 0 && tokens >= 0 && depth >= 0, "-p, -n and -d: a number of tokens is 0 or more");
        check(Math.max(prompt, tokens) > 0, "-p 0 and -n 0: there is nothing to measure");
        check((json ? 1 : 0) + (csv ? 1 : 0) + (markdown ? 1 : 0) <= 1, "--json, --csv and --md: write one of them");
        check(repetitions >= 1 && repetitions <= 1000, "-r " + repetitions + ": write 1 to 1000");
        check(batch >= 1 && batch <= 1 << 14, "--batch " + batch + ": write 1 to " + (1 << 14));
        check(layers == null || synthetic != null, "--layers goes with --synthetic");
        check((model == null) != (synthetic == null), "name either a MODEL or --synthetic SHAPE:FORMAT");
        DeviceOptions.Choice choice = devices.choose();
        if (model != null) {
            return measure(model, choice);
        }
        SyntheticShape shape = shape();
        Recipe recipe = recipe();
        checkPositions(shape.context());
        choice.open().close(); // before a file of 28 GB is written
        Path made = Files.createTempFile("talaria-bench", ".gguf");
        made.toFile().deleteOnExit();
        try {
            Synthesizer.write(made, shape, recipe, ExpertLayout.STACKED, new Progress("Writing")::at);
            return measure(made.toString(), choice);
        } finally {
            Files.deleteIfExists(made);
        }
    }

    private static void check(boolean ok, String message) {
        if (!ok) {
            throw new BadArgumentException(message);
        }
    }

    private SyntheticShape shape() {
        SyntheticShape shape =
                SyntheticShape.preset(synthetic.split(":", -1)[0]).orElse(null);
        check(shape != null, "--synthetic " + synthetic + ": write SHAPE:FORMAT, such as nano:Q8_0");
        try {
            return layers == null ? shape : shape.withLayers(layers);
        } catch (IllegalArgumentException e) {
            throw new BadArgumentException("--layers " + layers + ": " + e.getMessage());
        }
    }

    private Recipe recipe() {
        String[] parts = synthetic.split(":", -1);
        Recipe recipe = parts.length == 2 ? Recipe.of(parts[1]) : null;
        check(recipe != null, "--synthetic " + synthetic + ": write SHAPE:FORMAT, such as nano:Q8_0");
        return recipe;
    }

    private long positions() {
        return Math.max(1L, depth) + Math.max(prompt, tokens);
    }

    private void checkPositions(int context) {
        check(
                positions() <= context,
                "-p, -n and -d: the tests need " + positions() + " positions and the model has a context of "
                        + context);
    }

    private int measure(String path, DeviceOptions.Choice choice) throws IOException {
        try (Model opened = ModelPath.open(path);
                Device device = choice.open()) {
            checkPositions(opened.config().context());
            int rows = Math.min(batch, Math.max(1, Math.max(prompt, depth)));
            DecoderOptions options = DecoderOptions.of(
                            choice.activations(), choice.kvType(), DecoderOptions.blocksFor((int) positions()), rows)
                    .withRouting();
            double bandwidth = device.readBandwidth(BANDWIDTH_BYTES);
            try (Decoder decoder = Decoder.load(opened, device, options, new Progress("Loading")::at)) {
                Bench bench = new Bench(decoder);
                List<Bench.Result> results = run(bench, ModelSummary.of(opened));
                print(device.info(), bandwidth, results, bench.expertShares());
            } catch (Bench.MeaninglessException e) {
                System.err.println("talaria: " + e.getMessage());
                return ExitCode.CHECK_FAILED;
            }
        }
        return ExitCode.OK;
    }

    private List<Bench.Result> run(Bench bench, ModelSummary summary) {
        List<Bench.Result> results = new ArrayList<>();
        if (prompt > 0) {
            results.add(bench.prompt(prompt, depth, repetitions, summary.weightBytes()));
        }
        if (tokens > 0) {
            results.add(bench.text(tokens, depth, repetitions, summary.bytesPerToken()));
        }
        return results;
    }

    private void print(DeviceInfo device, double bandwidth, List<Bench.Result> results, double[] shares) {
        OptionalDouble nominal = nominal(device);
        if (json) {
            Json.print(facts(device, bandwidth, nominal, results, shares));
            return;
        }
        String format = csv ? "%s,%.2f,%.2f,%.2f,%.3f%n" : markdown ? "| %s | %.2f ± %.2f | %.2f | %.0f %% |%n" : "";
        if (csv) {
            System.out.println("test,tokens_per_second,stddev,gb_s,bandwidth_fraction");
        } else if (markdown) {
            System.out.println("| test | tokens/s | GB/s | of measured bandwidth |\n|---|---|---|---|");
        } else {
            format = "%-16s %9.2f tokens/s ± %-8.2f %7.2f GB/s, %3.0f %% of the bandwidth%n";
            System.out.printf(
                    Locale.ROOT,
                    "%s (%s) reads %.1f GB/s; nominal: %s%n",
                    device.device(),
                    device.name(),
                    bandwidth,
                    nominal.isEmpty()
                            ? "unknown"
                            : "%.1f GB/s, of which that is %.0f %%"
                                    .formatted(nominal.getAsDouble(), 100 * bandwidth / nominal.getAsDouble()));
        }
        for (Bench.Result result : results) {
            double share = result.gigabytesPerSecond() / bandwidth;
            System.out.printf(
                    Locale.ROOT,
                    format,
                    result.test(),
                    result.median(),
                    result.deviation(),
                    result.gigabytesPerSecond(),
                    csv ? share : 100 * share);
        }
        if (!csv && !markdown) {
            System.out.println("experts used, %  "
                    + DoubleStream.of(shares)
                            .mapToObj(share -> "%.1f".formatted(100 * share))
                            .collect(Collectors.joining(" ")));
        }
    }

    /** What the memory was built for, where the machine says so; of devices with memory of their own nobody does. */
    private static OptionalDouble nominal(DeviceInfo device) {
        return device.device().startsWith("cpu") ? MemoryModules.bandwidth() : OptionalDouble.empty();
    }

    private static Map<String, Object> facts(
            DeviceInfo device, double bandwidth, OptionalDouble nominal, List<Bench.Result> results, double[] shares) {
        List<Map<String, Object>> tests = new ArrayList<>();
        for (Bench.Result result : results) {
            Map<String, Object> test = new LinkedHashMap<>();
            test.put("test", result.test());
            test.put("tokens_per_second", result.median());
            test.put("stddev", result.deviation());
            test.put("gb_s", result.gigabytesPerSecond());
            test.put("bandwidth_fraction", result.gigabytesPerSecond() / bandwidth);
            tests.add(test);
        }
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("device", device.device());
        facts.put("name", device.name());
        facts.put("read_bandwidth_gb_s", bandwidth);
        facts.put("nominal_bandwidth_gb_s", nominal.isPresent() ? nominal.getAsDouble() : null);
        facts.put("expert_shares", shares);
        facts.put("tests", tests);
        return facts;
    }
}
