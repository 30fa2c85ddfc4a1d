package io.talaria.cli;

import io.talaria.TalariaBuilder;
import io.talaria.bench.SyntheticModel;
import io.talaria.bench.SyntheticShape;
import io.talaria.model.Model;
import io.talaria.placement.GpuCatalogue;
import io.talaria.placement.GpuCatalogue.Gpu;
import io.talaria.placement.MemoryPlan;
import io.talaria.placement.PlanDevice;
import io.talaria.placement.PlanSetting;
import io.talaria.placement.Planner;
import io.talaria.placement.Planner.Places;
import io.talaria.placement.Streaming;
import io.talaria.quant.Recipe;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "plan",
        mixinStandardHelpOptions = true,
        description =
                "What a model takes on each device, before it is loaded: whether it fits, the largest context, and the"
                        + " speed that the memory allows. Exits with 1 if it does not fit.")
final class PlanCommand implements Callable<Integer> {
    /** What the model's page says that its formats require, in GB. */
    private static final Map<Recipe, Double> CLAIMS =
            new EnumMap<>(Map.of(Recipe.Q4_K_M, 26.8, Recipe.Q6_K, 38.4, Recipe.Q8_0, 47.2, Recipe.F16, 93.9));

    @Mixin
    private PlanOptions target;

    @Option(
            names = "--slots",
            paramLabel = "N",
            description = "Texts at once, each with a whole context. Default: ${DEFAULT-VALUE}.")
    private int slots = 1;

    @Mixin
    private SplitOptions split;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        if (slots < 1 || slots > TalariaBuilder.DEFAULT_CHUNK) {
            throw new BadArgumentException("--slots " + slots + ": write 1 to " + TalariaBuilder.DEFAULT_CHUNK);
        }
        boolean all = "all".equals(target.gpu());
        if (all && split.oneListNamed()) {
            throw new BadArgumentException(
                    "--gpu all: --placement, --placement-out and --cpu-experts are for one list of devices");
        }
        List<String> placed = split.read();
        target.check();
        DeviceOptions.Choice choice = target.gpu() == null
                ? split.choose(target.devices(), placed)
                : target.devices().chooseFor("cuda");
        try (Model opened = target.open()) {
            opened.requireExperts();
            int devices = all ? 1 : planDevices(choice).size();
            PlanSetting setting = target.setting(opened, choice, slots, devices);
            return all ? table(opened, setting) : plan(opened, choice, setting);
        }
    }

    private int plan(Model opened, DeviceOptions.Choice choice, PlanSetting setting) throws IOException {
        List<PlanDevice> planned = planDevices(choice);
        Places places = target.gpu() == null ? split.places(opened, choice) : split.places(opened, planned);
        Planner planner = new Planner(opened, planned, places);
        List<String> names = planned.stream().map(PlanDevice::name).toList();
        PlanSetting streaming = split.streaming().apply(setting, opened, names, Streaming.CHUNK);
        PlanReport report = PlanReport.of(opened, planner, streaming);
        split.write(report.plan().names(), report.plan().placement());
        if (json) {
            Json.print(report.facts());
        } else {
            report.print();
        }
        return report.plan().fits() ? ExitCode.OK : ExitCode.CHECK_FAILED;
    }

    private List<PlanDevice> planDevices(DeviceOptions.Choice choice) {
        List<PlanDevice> planned = new ArrayList<>(target.planned(choice));
        if (target.gpu() != null && split.cpuExpertsNamed()) {
            planned.addAll(PlanOptions.present(List.of(SplitOptions.CPU), choice));
        }
        return planned;
    }

    /** Every card of the catalogue, beside what the model's page says of it. */
    private int table(Model opened, PlanSetting setting) throws IOException {
        GpuTable table = new GpuTable();
        for (Gpu card : GpuCatalogue.all()) {
            List<PlanDevice> planned = PlanDevice.of(card);
            Planner planner = new Planner(opened, planned, split.places(opened, planned));
            table.add(card, PlanReport.of(opened, planner, setting));
        }
        for (Map.Entry<Recipe, Double> claim : CLAIMS.entrySet()) {
            SyntheticShape shape = SyntheticShape.preset("mixtral-8x7b").orElseThrow();
            try (Model made = SyntheticModel.open(shape, claim.getKey())) {
                List<PlanDevice> any = PlanDevice.of(GpuCatalogue.all().getFirst());
                MemoryPlan plan = new Planner(made, any, split.places(made, any)).plan(setting);
                table.addFormat(
                        shape.name() + ":" + claim.getKey(),
                        claim.getValue(),
                        plan.shares().getFirst());
            }
        }
        if (json) {
            Json.print(table.facts());
        } else {
            table.print();
        }
        return ExitCode.OK;
    }
}
