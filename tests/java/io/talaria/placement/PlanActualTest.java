package io.talaria.placement;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.Activations;
import io.talaria.backend.Backend;
import io.talaria.backend.Backends;
import io.talaria.backend.BatchShape;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.MemoryUse;
import io.talaria.backend.OpenOptions;
import io.talaria.bench.SyntheticModel;
import io.talaria.bench.SyntheticShape;
import io.talaria.engine.Engine;
import io.talaria.engine.EngineOptions;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.model.ModelSummary;
import io.talaria.model.Placement.LayerPlace;
import io.talaria.placement.MemoryPlan.Share;
import io.talaria.placement.Planner.Places;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What is planned is what is allocated, on every device that can be planned. */
class PlanActualTest {
    private static final List<SyntheticShape> SHAPES = List.of(
            new SyntheticShape("small", 256, 2, 4, 2, 64, 256, 8, 2, 512, 8192),
            new SyntheticShape("odd vocabulary", 256, 3, 2, 1, 128, 512, 8, 2, 1003, 8192),
            new SyntheticShape("many experts", 256, 1, 4, 4, 64, 256, 16, 4, 512, 8192));
    private static final int COMBINATIONS = 20;

    record Case(
            String device, SyntheticShape shape, Recipe recipe, int context, int slots, TensorType kv, boolean int8) {
        PlanSetting setting() {
            EngineOptions engine = new EngineOptions(context, slots);
            DecoderOptions options = DecoderOptions.of(
                    int8 ? Activations.INT8 : Activations.HALF, kv, DecoderOptions.blocksFor(context) * slots, 64);
            return new PlanSetting(options, decoder -> Engine.prepare(decoder, engine), Optional.empty());
        }
    }

    static Stream<Case> cases() {
        Random random = new Random(7);
        List<Case> cases = new ArrayList<>();
        for (String device : devices()) {
            for (int i = 0; i < COMBINATIONS; i++) {
                SyntheticShape shape = SHAPES.get(i % SHAPES.size());
                Recipe recipe = Recipe.values()[i % Recipe.values().length];
                TensorType kv = random.nextBoolean() ? TensorType.F16 : TensorType.Q8_0;
                int context = 2 + random.nextInt(random.nextBoolean() ? 200 : 8000);
                cases.add(new Case(device, shape, recipe, context, 1 + random.nextInt(8), kv, random.nextBoolean()));
            }
        }
        return cases.stream();
    }

    private static List<String> devices() {
        return Backends.all().stream()
                .filter(backend -> List.of("cpu", "simt").contains(backend.name()))
                .map(Backend::devices)
                .filter(devices -> !devices.isEmpty())
                .map(devices -> devices.getFirst().device())
                .toList();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void whatIsPlannedIsAllocated(Case planned) throws IOException {
        List<String> names = List.of(planned.device());
        long before = Backends.info(planned.device()).freeBytes();
        try (Model model = SyntheticModel.open(planned.shape(), planned.recipe());
                Deployment deployment = Deployment.open(
                        model,
                        names,
                        new OpenOptions(2),
                        new Places.By(Split.EXPERTS),
                        planned.setting(),
                        LoadProgress.NONE)) {
            Share share = deployment.plan().orElseThrow().shares().getFirst();
            MemoryUse plan = share.use();
            assertEquals(plan, deployment.devices().getFirst().memory());
            long weights = ModelSummary.of(model).weightBytes();
            assertTrue(plan.weights() >= weights, plan + " is less than the " + weights + " of the weights");
            long blocks = deployment.decoder().options().kvBlocks();
            long rowBytes = planned.kv().bytes(model.config().kvWidth());
            long kv = 2L * model.config().layers() * blocks * DecoderOptions.POSITIONS_PER_BLOCK * rowBytes;
            assertTrue(kv <= plan.kv() && plan.kv() < kv + kv / 50 + 64, plan + " where the cache has " + kv);
            if (planned.device().startsWith("simt")) {
                emulatorHasAllocated(plan, before, planned.device());
                deployment.decoder().prepare(new BatchShape(1, 1, 1, 1, 0, 64, 0), 1);
                deployment.decoder().prepare(new BatchShape(16, 1, 1, (int) blocks, 0, 0, 0), 1);
                long used = before - Backends.info(planned.device()).freeBytes();
                assertTrue(
                        used <= share.bytes(), used + " bytes are allocated where " + share.bytes() + " were planned");
            }
        }
    }

    /**
     * Lists of devices, times splits, formats and modes; experts of 1280 columns, which are five blocks of 256, and heads of
     * which four fill one.
     */
    static Stream<Arguments> splits() {
        List<Arguments> splits = new ArrayList<>();
        SyntheticShape wide = new SyntheticShape("wide", 256, 3, 12, 3, 64, 1280, 8, 2, 512, 8192);
        Random random = new Random(9);
        for (String names : List.of("cpu,cpu", "cpu,cpu,cpu", "simt:0,simt:0", "simt:0,cpu")) {
            for (Split split : Split.values()) {
                for (Recipe recipe : List.of(Recipe.Q4_K_M, Recipe.Q6_K, Recipe.Q8_0, Recipe.F16)) {
                    TensorType kv = random.nextBoolean() ? TensorType.F16 : TensorType.Q8_0;
                    Case planned = new Case(
                            names,
                            wide,
                            recipe,
                            2 + random.nextInt(500),
                            1 + random.nextInt(4),
                            kv,
                            random.nextBoolean());
                    splits.add(Arguments.of(planned, split));
                }
            }
        }
        return splits.stream();
    }

    @ParameterizedTest
    @MethodSource("splits")
    void whatIsPlannedForSeveralIsAllocated(Case planned, Split split) throws IOException {
        List<String> names = List.of(planned.device().split(","));
        Assumptions.assumeTrue(
                names.stream().allMatch(name -> name.equals("cpu") || devices().contains(name)),
                "not tested: the emulator was not built");
        try (Model model = SyntheticModel.open(planned.shape(), planned.recipe());
                Deployment deployment = Deployment.open(
                        model, names, new OpenOptions(2), new Places.By(split), planned.setting(), LoadProgress.NONE)) {
            MemoryPlan plan = deployment.plan().orElseThrow();
            long weights = 0;
            for (int i = 0; i < names.size(); i++) {
                MemoryUse use = plan.shares().get(i).use();
                assertEquals(use, deployment.devices().get(i).memory(), names.get(i) + ", the " + i + "th");
                weights += use.weights();
            }
            assertTrue(weights >= ModelSummary.of(model).weightBytes(), weights + " bytes of weights on all");
            boolean equal = !planned.device().equals("simt:0,cpu"); // the cpu has what the emulator has no room for
            for (LayerPlace layer : plan.placement().layers()) {
                assertEquals(split == Split.FFN || split == Split.TENSOR, layer.isDivided());
                assertEquals(split == Split.TENSOR, layer.dividesAttention());
                boolean onAll = layer.sources().size() == names.size();
                assertEquals(equal && split != Split.LAYERS, onAll, layer.toString());
            }
        }
    }

    /** The emulator's own count of what is taken from its memory. */
    private static void emulatorHasAllocated(MemoryUse plan, long before, String device) {
        assertEquals(plan.total(), before - Backends.info(device).freeBytes());
    }

    /** A GPU that is not here takes no less than one that is, and little more. */
    @Test
    void theStandInForAnyGpuIsNeverUnder() throws IOException {
        for (String device : devices()) {
            if (device.startsWith("simt")) {
                for (Case planned :
                        cases().filter(c -> c.device().equals(device)).toList()) {
                    long exact = use(
                            planned,
                            PlanDevice.present(List.of(device), OpenOptions.DEFAULT, PlanActualTest::unknown)
                                    .orElseThrow());
                    long any = use(planned, PlanDevice.of(GpuCatalogue.named("NVIDIA H200")));
                    assertTrue(
                            any >= exact && any <= exact + exact / 50 + (64 << 10), any + " where it takes " + exact);
                }
            }
        }
    }

    private static OptionalDouble unknown(DeviceInfo device) {
        return OptionalDouble.empty();
    }

    private static long use(Case planned, List<PlanDevice> devices) throws IOException {
        try (Model model = SyntheticModel.open(planned.shape(), planned.recipe())) {
            MemoryUse use = new Planner(model, devices, new Places.By(Split.EXPERTS))
                    .plan(planned.setting())
                    .shares()
                    .getFirst()
                    .use();
            return use.weights() + use.kv() + use.scratch();
        }
    }
}
