package io.talaria.cli;

import io.talaria.model.Model;
import io.talaria.model.ModelConfig;
import io.talaria.model.Placement;
import io.talaria.placement.ExpertChoice;
import io.talaria.placement.Layout;
import io.talaria.placement.ModelWork;
import io.talaria.placement.PlanDevice;
import io.talaria.placement.PlanSetting;
import io.talaria.placement.Simulation;
import io.talaria.placement.Strategies;
import io.talaria.placement.Strategy;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "simulate",
        mixinStandardHelpOptions = true,
        description = "How fast a model should be over several devices, for each way to divide it: simulated from its"
                + " bytes, the devices' bandwidth and what is between them, before anything is loaded.")
final class ExpertsSimulateCommand implements Callable<Integer> {
    @Mixin
    private PlanOptions target;

    @Mixin
    private SpeedOptions assumed;

    @Option(
            names = "--use",
            paramLabel = "FILE",
            description = "Which experts are used together, as 'experts profile --csv' counted them. Default: every"
                    + " expert as likely as any other.")
    private Path use;

    @Option(names = "-p", paramLabel = "N", description = "Prompt tokens, in one batch. Default: ${DEFAULT-VALUE}.")
    private int prompt = 512;

    @Option(
            names = "-d",
            paramLabel = "DEPTH",
            description = "Tokens that are there when one is written. Default: ${DEFAULT-VALUE}.")
    private int depth = 512;

    @Option(
            names = "--placement-out",
            paramLabel = "FILE",
            description = "Writes 'experts by use' as a file for --placement of run, chat and others; with --device.")
    private Path out;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Option(names = "--md", description = "A Markdown table.")
    private boolean markdown;

    @Override
    public Integer call() throws IOException {
        target.check();
        check(prompt >= 2 && prompt <= 1 << 20, "-p " + prompt + ": write 2 to " + (1 << 20));
        check(depth >= 0 && depth <= 1 << 20, "-d " + depth + ": write 0 to " + (1 << 20));
        check(!(json && markdown), "--json and --md: write one of them");
        check(!"all".equals(target.gpu()), "--gpu all is for plan: name the GPUs that work together");
        check(
                out == null || target.gpu() == null,
                "--placement-out goes with --device: a placement names devices that are here");
        if (out != null) {
            OutFile.check("--placement-out", out);
        }
        DeviceOptions.Choice choice = target.gpu() == null
                ? target.devices().choose()
                : target.devices().chooseFor("cuda");
        try (Model opened = target.open()) {
            opened.requireExperts();
            List<String> says = new ArrayList<>();
            List<ExpertChoice> choices = choices(opened.config(), says);
            List<PlanDevice> planned = target.planned(choice);
            PlanSetting setting = target.setting(opened, choice, 1, planned.size());
            Speeds speeds = target.gpu() == null ? Speeds.present(choice, assumed) : Speeds.planned(planned, assumed);
            ModelWork work = ModelWork.of(opened, setting.options().kvType());
            Simulation simulation = new Simulation(work, choices, speeds.workers(), speeds.costs());
            Strategies strategies = new Strategies(opened, planned, speeds.workers(), setting, work, simulation);
            says.addAll(speeds.assumptions());
            List<Strategy> all = strategies.all();
            SimulationReport report = SimulationReport.of(opened.name(), simulation, all, prompt, depth, speeds, says);
            if (out != null) {
                PlacementFile.write(out, choice.devices(), byUse(all));
            }
            if (json) {
                Json.print(report.facts());
            } else if (markdown) {
                report.printMarkdown();
            } else {
                report.print();
            }
        }
        return ExitCode.OK;
    }

    private static Placement byUse(List<Strategy> all) {
        Strategy byUse = all.stream()
                .filter(strategy -> strategy.name().equals(Strategies.BY_USE))
                .findFirst()
                .orElseThrow(
                        () -> new BadArgumentException("--placement-out: name several devices to place experts on"));
        if (byUse.problem().isPresent()) {
            throw new BadArgumentException("--placement-out: the experts do not fit on these devices: "
                    + byUse.problem().get());
        }
        return byUse.layout().flatMap(Layout::placement).orElseThrow();
    }

    private List<ExpertChoice> choices(ModelConfig config, List<String> says) throws IOException {
        if (use != null) {
            says.add("experts are used together as in " + use + ", each token independent of the one before");
            return ExpertUseFile.read(use, config);
        }
        says.add("every set of " + config.expertsUsed() + " of the " + config.experts()
                + " experts is as likely as any other, and independent of the token before (no --use)");
        try {
            return ExpertChoice.evenLayers(config);
        } catch (IllegalArgumentException e) {
            throw new BadArgumentException(e.getMessage());
        }
    }

    private static void check(boolean ok, String message) {
        if (!ok) {
            throw new BadArgumentException(message);
        }
    }
}
