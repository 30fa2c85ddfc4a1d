package io.talaria.cli;

import io.talaria.TalariaBuilder;
import io.talaria.bench.SyntheticModel;
import io.talaria.bench.SyntheticShape;
import io.talaria.engine.Engine;
import io.talaria.engine.EngineOptions;
import io.talaria.model.DecoderOptions;
import io.talaria.model.Model;
import io.talaria.placement.GpuCatalogue;
import io.talaria.placement.PlanDevice;
import io.talaria.placement.PlanSetting;
import io.talaria.quant.Recipe;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Which model is planned for which devices, here or not. */
final class PlanOptions {
    private static final int MAX_CONTEXT = 1 << 21; // of one text: what a batch's block table has room for

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
            names = "--gpu",
            paramLabel = "NAME,NAME",
            description = "GPUs of the catalogue instead of devices that are here; 'plan --gpu all' lists all of them.")
    private String gpu;

    @Mixin
    private DeviceOptions devices;

    /** The catalogue's GPUs that were named; null if none were. */
    String gpu() {
        return gpu;
    }

    DeviceOptions devices() {
        return devices;
    }

    void check() {
        synthetic.check(model);
        if (gpu != null && devices.named()) {
            throw new BadArgumentException("--gpu and --device: name one of them");
        }
    }

    /** Who asks for GPUs means the model that they are bought for. */
    Model open() throws IOException {
        if (model == null && !synthetic.named() && gpu != null) {
            return SyntheticModel.open(SyntheticShape.preset("mixtral-8x7b").orElseThrow(), Recipe.Q4_K_M);
        }
        return synthetic.named() ? synthetic.open() : ModelPath.openOrDefault(model);
    }

    /**
     * @param slots texts at once, each with a whole context
     * @param count of devices
     */
    PlanSetting setting(Model opened, DeviceOptions.Choice choice, int slots, int count) {
        int trained = opened.config().context();
        int positions = context == null ? Math.min(trained, TalariaBuilder.DEFAULT_CONTEXT) : context;
        if (positions < 2 || positions > trained || positions > MAX_CONTEXT) {
            throw new BadArgumentException(
                    "--context " + positions + ": write 2 to the model's " + Math.min(trained, MAX_CONTEXT));
        }
        int rows = count > 1 ? TalariaBuilder.DEFAULT_CHUNK_OF_SEVERAL : TalariaBuilder.DEFAULT_CHUNK;
        return setting(choice, positions, slots, rows);
    }

    private static PlanSetting setting(DeviceOptions.Choice choice, int positions, int slots, int rows) {
        EngineOptions engine = new EngineOptions(positions, slots);
        int blocks = Math.multiplyExact(DecoderOptions.blocksFor(positions), slots);
        DecoderOptions options = DecoderOptions.of(choice.activations(), choice.kvType(), blocks, rows);
        return new PlanSetting(
                options,
                decoder -> Engine.prepare(decoder, engine),
                Optional.of(other -> setting(choice, Math.min(other, MAX_CONTEXT), slots, rows)));
    }

    /** The devices that are here, or those of the cards that were named. */
    List<PlanDevice> planned(DeviceOptions.Choice choice) {
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
        return planned;
    }

    static List<PlanDevice> present(List<String> names, DeviceOptions.Choice choice) {
        return PlanDevice.present(names, choice.opening(), NominalBandwidth::of)
                .orElseThrow(() -> new BadArgumentException("--device " + names.getFirst()
                        + ": the reference leaves weights in their file, and so fits always"));
    }
}
