package io.talaria.cli;

import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.model.Model;
import io.talaria.validate.Check;
import io.talaria.validate.Check.Outcome;
import io.talaria.validate.ModelValidation;
import io.talaria.validate.OpValidation;
import io.talaria.validate.Report;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "validate",
        mixinStandardHelpOptions = true,
        description = "A device against the reference: every verb, and with a MODEL every layer.")
final class ValidateCommand implements Callable<Integer> {
    private static final int MAX_TOKENS = 512;

    @Parameters(
            paramLabel = "MODEL",
            arity = "0..1",
            description = "Path of a GGUF file. Default: made-up inputs alone.")
    private String model;

    @Option(
            names = "--tokens",
            paramLabel = "N",
            description = "Tokens of the prompt that goes through the MODEL. Default: ${DEFAULT-VALUE}.")
    private int tokens = 4;

    @Mixin
    private SyntheticOptions synthetic;

    @Option(names = "--model-only", description = "Leaves out the made-up inputs: the layers alone.")
    private boolean modelOnly;

    @Mixin
    private DeviceOptions devices;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        DeviceOptions.Choice choice = devices.choose();
        if (choice.reference()) {
            throw new BadArgumentException("--device " + choice.device()
                    + ": comparing the reference with itself shows nothing; name another");
        }
        if (tokens < 1 || tokens > MAX_TOKENS) {
            throw new BadArgumentException("--tokens " + tokens + ": write 1 to " + MAX_TOKENS);
        }
        synthetic.check(model);
        if (model == null && !synthetic.named()) {
            if (modelOnly) {
                throw new BadArgumentException("--model-only: name a MODEL or --synthetic SHAPE:FORMAT");
            }
            return validate(null, choice);
        }
        try (Model opened = synthetic.named() ? synthetic.open() : ModelPath.open(model)) {
            opened.requireExperts();
            return validate(opened, choice);
        }
    }

    private int validate(Model opened, DeviceOptions.Choice choice) throws IOException {
        if (opened != null && tokens >= opened.config().context()) {
            throw new BadArgumentException("--tokens " + tokens + ": one more would not fit in the model's context of "
                    + opened.config().context());
        }
        try (Device device = choice.open();
                Device reference = Backends.open("reference")) {
            Report report = new Report();
            List<Activations> modes = modes(device, choice);
            if (!modelOnly) {
                OpValidation.run(reference, device, modes, report::add, new Progress("Verbs")::at);
            }
            if (opened != null) {
                ModelValidation.run(
                        opened,
                        reference,
                        device,
                        new ModelValidation.Options(modes, choice.kvType(), tokens),
                        report::add,
                        new Progress("Layers")::at);
            }
            return finish(device.info().device(), report, json);
        }
    }

    /** Both modes of the device, or the one that was named. */
    private List<Activations> modes(Device device, DeviceOptions.Choice choice) {
        List<Activations> modes = OpValidation.modes(device);
        if (!devices.namesActivations()) {
            return modes;
        }
        if (!modes.contains(choice.activations())) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED,
                    device.info().device() + " rounds activations in blocks of "
                            + device.info().activationBlock());
        }
        return List.of(choice.activations());
    }

    /** Prints a report and returns the exit code that belongs to it. */
    static int finish(String device, Report report, boolean json) {
        if (json) {
            Json.print(facts(device, report));
        } else {
            print(device, report);
        }
        return report.count(Outcome.FAILED) == 0 ? ExitCode.OK : ExitCode.CHECK_FAILED;
    }

    private static void print(String device, Report report) {
        System.out.println("verb and mode                 passed  failed  unsupported  worst error    of bound");
        for (Report.Group group : report.groups()) {
            String worst = group.worst()
                    .map(check ->
                            String.format(Locale.ROOT, "%11.2g %11.2g  %s", check.nmse(), check.bound(), check.name()))
                    .orElse("");
            System.out.printf(
                    "%-29s %6d %7d %12d  %s%n",
                    group.name(), group.passed(), group.failed(), group.unsupported(), worst);
        }
        System.out.printf(
                "%s: %d passed, %d failed, %d unsupported, %d near ties%n",
                device,
                report.count(Outcome.PASSED),
                report.count(Outcome.FAILED),
                report.count(Outcome.UNSUPPORTED),
                report.nearTies());
        report.first(Outcome.UNSUPPORTED).ifPresent(check -> explain("First unsupported", check));
        report.first(Outcome.FAILED).ifPresent(check -> explain("First failure", check));
    }

    private static void explain(String what, Check check) {
        System.out.printf("%s: %s: %s%n", what, check.name(), check.detail());
    }

    private static Map<String, Object> facts(String device, Report report) {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("device", device);
        facts.put("passed", report.count(Outcome.PASSED));
        facts.put("failed", report.count(Outcome.FAILED));
        facts.put("unsupported", report.count(Outcome.UNSUPPORTED));
        facts.put("near_ties", report.nearTies());
        List<Map<String, Object>> cases = new ArrayList<>();
        for (Check check : report.checks()) {
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("name", check.name());
            entry.put("verb", check.verb());
            entry.put("nmse", Double.isFinite(check.nmse()) ? check.nmse() : null); // JSON has no infinity
            entry.put("bound", check.bound());
            entry.put("ok", check.ok());
            entry.put("outcome", check.outcome().name().toLowerCase(Locale.ROOT));
            entry.put("detail", check.detail());
            cases.add(entry);
        }
        facts.put("cases", cases);
        return facts;
    }
}
