package io.talaria.placement;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.Activations;
import io.talaria.backend.Backend;
import io.talaria.backend.Backends;
import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.MemoryUse;
import io.talaria.backend.OpenOptions;
import io.talaria.bench.SyntheticModel;
import io.talaria.bench.SyntheticShape;
import io.talaria.engine.Engine;
import io.talaria.engine.EngineOptions;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.model.ModelSummary;
import io.talaria.model.Placement;
import io.talaria.model.Placement.LayerPlace;
import io.talaria.placement.MemoryPlan.Share;
import io.talaria.placement.Planner.Places;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

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
            int rows = device.contains(",") && int8 ? 300 : 64; // many go in two halves
            DecoderOptions options = DecoderOptions.of(
                    int8 ? Activations.INT8 : Activations.HALF, kv, DecoderOptions.blocksFor(context) * slots, rows);
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

    /** Layers of different types, and so of down projections; of the cpu's experts as many as it is given, or a part of each. */
    @ParameterizedTest
    @ValueSource(strings = {"cpu,cpu,cpu", "simt:0,cpu"})
    void whatIsPlannedToStreamIsAllocated(String devices) throws IOException {
        List<String> names = List.of(devices.split(","));
        Assumptions.assumeTrue(
                names.stream().allMatch(name -> name.equals("cpu") || devices().contains(name)),
                "not tested: the emulator was not built");
        SyntheticShape shape = new SyntheticShape("wide", 256, 8, 4, 2, 64, 1280, 8, 2, 512, 8192);
        Case planned = new Case(devices, shape, Recipe.Q4_K_M, 300, 2, TensorType.F16, true);
        try (Model model = SyntheticModel.open(shape, Recipe.Q4_K_M)) {
            LayerPlace all = new LayerPlace(0, Collections.nCopies(8, 1));
            LayerPlace some = new LayerPlace(0, List.of(0, 0, 0, 0, 1, 0, 1, names.size() - 1));
            Integer[] columns = {512, 768, 0};
            LayerPlace divided = LayerPlace.divided(0, List.of(columns).subList(0, names.size()));
            for (List<LayerPlace> pattern : List.of(List.of(all, some), List.of(some), List.of(divided, some))) {
                Placement placement = new Placement(IntStream.range(0, 8)
                        .mapToObj(i -> pattern.get(i % pattern.size()))
                        .toList());
                Places places = new Places.Given(placement);
                MemoryUse without = allocated(model, names, places, planned.setting());
                MemoryUse with =
                        allocated(model, names, places, planned.setting().streaming(16, 64, false));
                // Of the layer with the most: gate, up, and down in the two types that this format mixes.
                long planes = pattern.contains(all) || pattern.contains(divided) ? 8 : names.size() == 2 ? 3 : 2;
                long width = pattern.contains(divided) ? 1280 + 768 : 1280;
                long down = TensorType.Q4_K.bytes(256 * width) + TensorType.Q6_K.bytes(256 * width);
                long least = planes * (2 * TensorType.Q4_K.bytes(256 * width) + down * 3 / 4);
                long staging = with.weights() - without.weights();
                assertTrue(
                        staging >= least && staging <= 4 * least / 3 + 8192, staging + " bytes of staging, " + least);
            }
        }
    }

    /** Of the first device. */
    private static MemoryUse allocated(Model model, List<String> names, Places places, PlanSetting setting)
            throws IOException {
        try (Deployment deployment =
                Deployment.open(model, names, new OpenOptions(2), places, setting, LoadProgress.NONE)) {
            for (int i = 0; i < names.size(); i++) {
                MemoryUse use = deployment.plan().orElseThrow().shares().get(i).use();
                assertEquals(use, deployment.devices().get(i).memory(), names.get(i) + ", the " + i + "th");
            }
            run(deployment.decoder(), 16);
            assertEquals(
                    deployment.plan().orElseThrow().shares().getFirst().use(),
                    deployment.devices().getFirst().memory(),
                    "a batch has taken more");
            return deployment.devices().getFirst().memory();
        }
    }

    /** Runs so many rows in a batch of the shape that an engine of two texts prepares. */
    private static void run(Decoder decoder, int rows) {
        int blocks = DecoderOptions.blocksFor(300);
        Batch batch = new Batch(new BatchShape(decoder.options().maxRows(), 2, 2, blocks, 0, 0, 0));
        batch.setBlock(0, 0, 0);
        for (int row = 0; row < rows; row++) {
            batch.addRow(row, row, 0);
        }
        batch.addWanted(rows - 1);
        decoder.run(batch, 64);
        decoder.sync();
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

    /** Nor over two, whose rows travel in two halves, by couriers. */
    @Test
    void theStandInForAnyGpuIsNeverUnderOverTwo() throws IOException {
        List<String> two = List.of("simt:0", "simt:0");
        Assumptions.assumeTrue(
                devices().contains("simt:0"), "not tested: there is no emulator, whose devices are as GPUs are");
        List<PlanDevice> present = PlanDevice.present(two, OpenOptions.DEFAULT, PlanActualTest::unknown)
                .orElseThrow();
        List<PlanDevice> any = Stream.of(1, 2)
                .flatMap(i -> PlanDevice.of(GpuCatalogue.named("NVIDIA H200")).stream())
                .toList();
        SyntheticShape wide = new SyntheticShape("wide", 256, 3, 12, 4, 64, 1280, 8, 2, 512, 8192);
        for (Split split : List.of(Split.EXPERTS, Split.FFN, Split.TENSOR)) {
            List<Long> exact = uses(wide, present, split);
            List<Long> planned = uses(wide, any, split);
            for (int i = 0; i < 2; i++) {
                long least = exact.get(i);
                assertTrue(
                        planned.get(i) >= least && planned.get(i) <= least + least / 50 + (64 << 10),
                        split + ", device " + i + ": " + planned.get(i) + " where it takes " + least);
            }
        }
    }

    private static List<Long> uses(SyntheticShape shape, List<PlanDevice> devices, Split split) throws IOException {
        DecoderOptions options =
                DecoderOptions.of(Activations.INT8, TensorType.F16, DecoderOptions.blocksFor(600), 300);
        PlanSetting setting = new PlanSetting(
                options, decoder -> Engine.prepare(decoder, new EngineOptions(600, 1)), Optional.empty());
        try (Model model = SyntheticModel.open(shape, Recipe.Q8_0)) {
            return new Planner(model, devices, new Places.By(split))
                    .plan(setting).shares().stream()
                            .map(Share::use)
                            .map(use -> use.weights() + use.kv() + use.scratch())
                            .toList();
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
