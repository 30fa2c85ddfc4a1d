package io.talaria.cli;

import io.talaria.TalariaBuilder;
import io.talaria.bench.SyntheticModel;
import io.talaria.bench.SyntheticShape;
import io.talaria.engine.Engine;
import io.talaria.engine.EngineOptions;
import io.talaria.model.DecoderOptions;
import io.talaria.model.Model;
import io.talaria.placement.GpuCatalogue;
import io.talaria.placement.GpuCatalogue.Gpu;
import io.talaria.placement.MemoryPlan;
import io.talaria.placement.PlanDevice;
import io.talaria.placement.PlanSetting;
import io.talaria.placement.Planner;
import io.talaria.quant.Recipe;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "plan",
        mixinStandardHelpOptions = true,
        description =
                "What a model takes on each device, before it is loaded: whether it fits, the largest context, and the"
                        + " speed that the memory allows. Exits with 1 if it does not fit.")
final class PlanCommand implements Callable<Integer> {
    private static final int MAX_CONTEXT = 1 << 21; // of one text: what a batch's block table has room for

    /** What the model's page says that its formats require, in GB. */
    private static final Map<Recipe, Double> CLAIMS =
            new EnumMap<>(Map.of(Recipe.Q4_K_M, 26.8, Recipe.Q6_K, 38.4, Recipe.Q8_0, 47.2, Recipe.F16, 93.9));

    @Parameters(
            paramLabel = "MODEL",
            arity = "0..1",
            description =
                    "Path of a GGUF file. Default: with --gpu mixtral-8x7b:Q4_K_M, else the small model that ships"
                            + " with Talaria.")
    private String model;

    @Mixin
    private SyntheticOptions synthetic;

    @Option(
            names = {"-c", "--context"},
            paramLabel = "N",
            description = "Tokens of prompt and answer at most. Default: " + TalariaBuilder.DEFAULT_CONTEXT
                    + ", or fewer if the model was trained for fewer.")
    private Integer context;

    @Option(
            names = "--slots",
            paramLabel = "N",
            description = "Texts at once, each with a whole context. Default: ${DEFAULT-VALUE}.")
    private int slots = 1;

    @Option(
            names = "--gpu",
            paramLabel = "NAME,NAME",
            description = "GPUs of the catalogue instead of devices that are here; 'all' for a table of all of them.")
    private String gpu;

    @Mixin
    private DeviceOptions devices;

    @Mixin
    private SplitOptions split;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        synthetic.check(model);
        if (slots < 1 || slots > TalariaBuilder.DEFAULT_CHUNK) {
            throw new BadArgumentException("--slots " + slots + ": write 1 to " + TalariaBuilder.DEFAULT_CHUNK);
        }
        if ("all".equals(gpu) && split.oneListNamed()) {
            throw new BadArgumentException(
                    "--gpu all: --placement, --placement-out and --cpu-experts are for one list of devices");
        }
        List<String> placed = split.read();
        if (gpu != null && devices.named()) {
            throw new BadArgumentException("--gpu and --device: name one of them");
        }
        DeviceOptions.Choice choice = gpu == null ? split.choose(devices, placed) : devices.chooseFor("cuda");
        try (Model opened = open()) {
            opened.requireExperts();
            PlanSetting setting = setting(choice, positions(opened.config().context()));
            return "all".equals(gpu) ? table(opened, setting) : plan(opened, choice, setting);
        }
    }

    /** Who asks for GPUs means the model that they are bought for. */
    private Model open() throws IOException {
        if (model == null && !synthetic.named() && gpu != null) {
            return SyntheticModel.open(SyntheticShape.preset("mixtral-8x7b").orElseThrow(), Recipe.Q4_K_M);
        }
        return synthetic.named() ? synthetic.open() : ModelPath.openOrDefault(model);
    }

    private int positions(int trained) {
        int positions = context == null ? Math.min(trained, TalariaBuilder.DEFAULT_CONTEXT) : context;
        if (positions < 2 || positions > trained || positions > MAX_CONTEXT) {
            throw new BadArgumentException(
                    "--context " + positions + ": write 2 to the model's " + Math.min(trained, MAX_CONTEXT));
        }
        return positions;
    }

    private PlanSetting setting(DeviceOptions.Choice choice, int positions) {
        EngineOptions engine = new EngineOptions(positions, slots);
        int blocks = Math.multiplyExact(DecoderOptions.blocksFor(positions), slots);
        DecoderOptions options =
                DecoderOptions.of(choice.activations(), choice.kvType(), blocks, TalariaBuilder.DEFAULT_CHUNK);
        return new PlanSetting(
                options,
                decoder -> Engine.prepare(decoder, engine),
                Optional.of(other -> setting(choice, Math.min(other, MAX_CONTEXT))));
    }

    private int plan(Model opened, DeviceOptions.Choice choice, PlanSetting setting) throws IOException {
        Planner planner = new Planner(opened, planDevices(choice), split.places(opened));
        PlanReport report = PlanReport.of(opened, planner, setting);
        split.write(report.plan().names(), report.plan().placement());
        if (json) {
            Json.print(report.facts());
        } else {
            report.print();
        }
        return report.plan().fits() ? ExitCode.OK : ExitCode.CHECK_FAILED;
    }

    private List<PlanDevice> planDevices(DeviceOptions.Choice choice) {
        if (gpu == null) {
            return present(choice.devices(), choice);
        }
        List<PlanDevice> planned = new ArrayList<>();
        for (String name : gpu.split(",", -1)) {
            try {
                planned.addAll(PlanDevice.of(GpuCatalogue.named(name)));
            } catch (IllegalArgumentException e) {
                throw new BadArgumentException("--gpu " + gpu + ": " + e.getMessage());
            }
        }
        if (split.cpuExpertsNamed()) {
            planned.addAll(present(List.of(SplitOptions.CPU), choice));
        }
        return planned;
    }

    private static List<PlanDevice> present(List<String> names, DeviceOptions.Choice choice) {
        return PlanDevice.present(names, choice.opening(), NominalBandwidth::of)
                .orElseThrow(() -> new BadArgumentException("--device " + names.getFirst()
                        + ": the reference leaves weights in their file, and so fits always"));
    }

    /** Every card of the catalogue, beside what the model's page says of it. */
    private int table(Model opened, PlanSetting setting) throws IOException {
        GpuTable table = new GpuTable();
        for (Gpu card : GpuCatalogue.all()) {
            Planner planner = new Planner(opened, PlanDevice.of(card), split.places(opened));
            table.add(card, PlanReport.of(opened, planner, setting));
        }
        for (Map.Entry<Recipe, Double> claim : CLAIMS.entrySet()) {
            SyntheticShape shape = SyntheticShape.preset("mixtral-8x7b").orElseThrow();
            try (Model made = SyntheticModel.open(shape, claim.getKey())) {
                List<PlanDevice> any = PlanDevice.of(GpuCatalogue.all().getFirst());
                MemoryPlan plan = new Planner(made, any, split.places(made)).plan(setting);
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
