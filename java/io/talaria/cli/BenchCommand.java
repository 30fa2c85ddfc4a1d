package io.talaria.cli;

import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.DeviceInfo;
import io.talaria.bench.Bench;
import io.talaria.bench.OpBench;
import io.talaria.bench.Roofline;
import io.talaria.model.DecoderOptions;
import io.talaria.model.Model;
import io.talaria.model.ModelSummary;
import io.talaria.placement.Deployment;
import io.talaria.placement.PlanSetting;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
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

    @Mixin
    private SyntheticOptions synthetic;

    @Option(names = "-p", paramLabel = "N", description = "Prompt tokens; 0 for none. Default: ${DEFAULT-VALUE}.")
    private int prompt = 512;

    @Option(names = "-n", paramLabel = "N", description = "Tokens to write; 0 for none. Default: ${DEFAULT-VALUE}.")
    private int tokens = 128;

    @Option(
            names = "-d",
            paramLabel = "DEPTH",
            description = "Tokens that are there before. They are read once, before anything is measured; of a made-up"
                    + " model they only leave random keys and values in the cache. Default: ${DEFAULT-VALUE}.")
    private int depth = 0;

    @Option(names = "-r", paramLabel = "N", description = "Repetitions; the median counts. Default: ${DEFAULT-VALUE}.")
    private int repetitions = 5;

    @Option(names = "--batch", paramLabel = "N", description = "Prompt tokens per batch. Default: ${DEFAULT-VALUE}.")
    private int batch = 512;

    @Mixin
    private DeviceOptions devices;

    @Mixin
    private SplitOptions split;

    @Option(names = "--verbose", description = "Says after loading what was planned and what each device allocated.")
    private boolean verbose;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Option(names = "--csv", description = "Comma-separated values.")
    private boolean csv;

    @Option(names = "--md", description = "A Markdown table.")
    private boolean markdown;

    @Option(
            names = "--ops",
            description = "Also what each verb of one token takes, behind DEPTH others, and what it reads per second:"
                    + " weights of the experts that are used, and the KV cache.")
    private boolean ops;

    @Option(names = "--svg", paramLabel = "FILE", description = "The same as a picture; implies --ops.")
    private Path svg;

    @Override
    public Integer call() throws IOException {
        check(prompt >= 0 && tokens >= 0 && depth >= 0, "-p, -n and -d: a number of tokens is 0 or more");
        check(Math.max(prompt, tokens) > 0, "-p 0 and -n 0: there is nothing to measure");
        check((json ? 1 : 0) + (csv ? 1 : 0) + (markdown ? 1 : 0) <= 1, "--json, --csv and --md: write one of them");
        check(repetitions >= 1 && repetitions <= 1000, "-r " + repetitions + ": write 1 to 1000");
        check(batch >= 1 && batch <= 1 << 14, "--batch " + batch + ": write 1 to " + (1 << 14));
        synthetic.check(model);
        check(model != null || synthetic.named(), "name either a MODEL or --synthetic SHAPE:FORMAT");
        if (svg != null) {
            OutFile.check("--svg", svg);
        }
        DeviceOptions.Choice choice = split.choose(devices);
        try (Model opened = synthetic.named() ? synthetic.open() : ModelPath.open(model)) {
            if (svg != null) {
                OutFile.checkOther(
                        "--svg",
                        svg,
                        synthetic.named() ? List.of() : opened.file().paths());
            }
            opened.requireExperts();
            checkPositions(opened.config().context());
            report(measure(opened, choice));
        } catch (Bench.MeaninglessException e) {
            System.err.println("talaria: " + e.getMessage());
            return ExitCode.CHECK_FAILED;
        }
        return ExitCode.OK;
    }

    private static void check(boolean ok, String message) {
        if (!ok) {
            throw new BadArgumentException(message);
        }
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

    private BenchReport measure(Model opened, DeviceOptions.Choice choice) throws IOException {
        int rows = Math.min(batch, Math.max(1, Math.max(prompt, depth)));
        DecoderOptions options = DecoderOptions.of(
                        choice.activations(), choice.kvType(), DecoderOptions.blocksFor((int) positions()), rows)
                .withRouting();
        PlanSetting setting = split.streaming()
                .apply(new PlanSetting(options, Bench::prepare, Optional.empty()), opened, choice.devices(), 0);
        // Before the model takes the memory that is read. What several devices read together is no one number.
        boolean one = choice.devices().size() == 1;
        OptionalDouble bandwidth = one ? bandwidth(choice) : OptionalDouble.empty();
        DeviceInfo device = info(choice.devices());
        OptionalDouble nominal = one ? NominalBandwidth.of(device) : OptionalDouble.empty();
        try (Deployment deployment = Deployment.open(
                opened,
                choice.devices(),
                choice.opening(),
                split.places(opened, choice),
                setting,
                new Progress("Loading")::at)) {
            if (verbose) {
                deployment.report().forEach(System.err::println);
            }
            if (deployment.plan().isPresent()) {
                split.write(choice.devices(), deployment.plan().get());
            }
            Bench bench = new Bench(deployment.decoder(), synthetic.named());
            List<Bench.Result> results = run(bench, ModelSummary.of(opened));
            double[] shares = bench.expertShares();
            Optional<OpBench.Ops> verbs = ops || svg != null
                    ? Optional.of(new OpBench(bench).measure(opened.weights(), depth, repetitions))
                    : Optional.empty();
            String name = synthetic.named() ? synthetic.name() : model;
            return new BenchReport(name, device, bandwidth, nominal, results, shares, verbs);
        }
    }

    /** What the device reads at best; empty if it does not measure that, as those that are there to check others. */
    private static OptionalDouble bandwidth(DeviceOptions.Choice choice) {
        try (Device device = choice.open()) {
            return OptionalDouble.of(device.readBandwidth(BANDWIDTH_BYTES));
        } catch (DeviceException e) {
            if (e.kind() != DeviceException.Kind.UNSUPPORTED) {
                throw e;
            }
            return OptionalDouble.empty();
        }
    }

    /** A device, or several as one. */
    private static DeviceInfo info(List<String> names) {
        return names.stream()
                .map(Backends::info)
                .reduce((a, b) -> new DeviceInfo(
                        a.device() + "," + b.device(),
                        a.name() + " and " + b.name(),
                        a.memoryBytes() + b.memoryBytes(),
                        a.freeBytes() + b.freeBytes(),
                        a.activationBlock()))
                .orElseThrow();
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

    private void report(BenchReport report) throws IOException {
        if (json) {
            report.printJson();
        } else if (csv) {
            report.printCsv();
        } else if (markdown) {
            report.printMarkdown();
        } else {
            report.printText();
        }
        if (svg != null) {
            String title = report.model() + " on " + report.device().device() + " ("
                    + report.device().name() + ")";
            Files.writeString(
                    svg, Roofline.svg(title, report.ops().orElseThrow(), report.bandwidth(), report.nominal()));
        }
        report.warning().ifPresent(warning -> System.err.println("talaria: " + warning));
    }
}
