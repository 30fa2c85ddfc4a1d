package io.talaria.placement;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.Activations;
import io.talaria.backend.BatchShape;
import io.talaria.backend.OpenOptions;
import io.talaria.bench.SyntheticModel;
import io.talaria.bench.SyntheticShape;
import io.talaria.model.DecoderOptions;
import io.talaria.model.Model;
import io.talaria.placement.Planner.Places;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which devices stream prompts, from how many rows on, and whether there is room. */
class StreamingTest {
    private static final int MIB = 1 << 20;
    private static final List<String> GPU_AND_CPU = List.of("cuda:0", "cpu");

    private static PlanSetting setting(int rows) {
        DecoderOptions options = DecoderOptions.of(Activations.INT8, TensorType.F16, 4, rows);
        return new PlanSetting(
                options, decoder -> decoder.prepare(new BatchShape(1, 1, 1, 4, 0, 0, 0), 1), Optional.empty());
    }

    private static Model model(Recipe recipe) throws IOException {
        return SyntheticModel.open(new SyntheticShape("small", 256, 4, 4, 2, 64, 512, 8, 2, 512, 8192), recipe);
    }

    /** Bytes of 8 experts / 12.5 GB/s over operations of 2 / 1.3 * 10^12: by the bytes of a weight alone. */
    @ParameterizedTest
    @CsvSource({"Q4_K_M, 128", "Q8_0, 224", "F16, 420"})
    void theCrossingFollowsFromTheFormat(Recipe recipe, int rows) throws IOException {
        SyntheticShape mixtral = SyntheticShape.preset("mixtral-8x7b").orElseThrow();
        try (Model model = SyntheticModel.open(mixtral, recipe)) {
            assertEquals(rows, Streaming.crossing(model), 1 + rows / 100.0);
        }
    }

    @Test
    void itIsForAGpuAndTheCpu() throws IOException {
        try (Model model = model(Recipe.Q4_K_M)) {
            PlanSetting plain = setting(128);
            PlanSetting streamed = Streaming.AUTO.apply(plain, model, GPU_AND_CPU, Streaming.CHUNK);
            assertEquals(Streaming.crossing(model), streamed.options().streamRows());
            assertEquals(512, streamed.options().maxRows());
            assertSame(plain, streamed.unstreamed().orElseThrow());
            for (List<String> others : List.of(
                    List.of("cuda:0"),
                    List.of("cpu", "cpu"),
                    List.of("cpu:0", "cuda:0"),
                    List.of("cuda:0", "cuda:1"))) {
                assertSame(plain, Streaming.AUTO.apply(plain, model, others, Streaming.CHUNK), others.toString());
            }
            assertSame(plain, Streaming.OFF.apply(plain, model, GPU_AND_CPU, Streaming.CHUNK));
        }
    }

    @Test
    void aNumberIsForAnyDevicesAndMustBe() throws IOException {
        try (Model model = model(Recipe.Q4_K_M)) {
            PlanSetting plain = setting(128);
            Streaming from = new Streaming(OptionalInt.of(700));
            PlanSetting talking = from.apply(plain, model, List.of("cpu", "cpu"), Streaming.CHUNK);
            assertEquals(700, talking.options().streamRows());
            assertEquals(700, talking.options().maxRows());
            assertTrue(talking.unstreamed().isEmpty());
            assertSame(plain, from.apply(plain, model, GPU_AND_CPU, 0), "no batch has so many rows");
            assertThrows(IllegalArgumentException.class, () -> new Streaming(OptionalInt.of(-1)));
        }
    }

    @Test
    void resultsThatMayNotDependOnTheBatchAreNotStreamed() throws IOException {
        try (Model model = model(Recipe.Q4_K_M)) {
            PlanSetting plain = new PlanSetting(
                    setting(512).options().withBatchInvariance(), setting(512).prepare(), Optional.empty());
            assertSame(plain, Streaming.AUTO.apply(plain, model, GPU_AND_CPU, 0));
            Streaming from = new Streaming(OptionalInt.of(16));
            assertThrows(IllegalArgumentException.class, () -> from.apply(plain, model, GPU_AND_CPU, 0));
        }
    }

    /** A device of so much memory, which counts as the cpu does. */
    private static PlanDevice device(String name, long free, boolean host) {
        PlanDevice cpu = PlanDevice.present(List.of("cpu"), new OpenOptions(1), info -> OptionalDouble.empty())
                .orElseThrow()
                .getFirst();
        return new PlanDevice(name, cpu.standIn(), free, 0, OptionalDouble.empty(), false, host);
    }

    private static MemoryPlan plan(Model model, PlanSetting setting, long free) throws IOException {
        List<PlanDevice> devices = List.of(device("cuda:0", free, false), device("cpu:0", 1L << 30, true));
        return new Planner(model, devices, new Places.By(Split.EXPERTS)).plan(setting);
    }

    /** 13 MB of experts and 0.5 MB of what else there is; staging has 3 MB, and as much room less is left for experts. */
    @Test
    void itTakesRoomAndIsLeftOutWhereThereIsNone() throws IOException {
        try (Model model = model(Recipe.Q8_0)) {
            PlanSetting plain = setting(64);
            PlanSetting optional = plain.streaming(16, 64, true);
            PlanSetting asked = plain.streaming(16, 64, false);

            MemoryPlan roomy = plan(model, optional, 11 * MIB);
            assertTrue(roomy.fits());
            assertEquals(OptionalInt.of(16), roomy.streamedFrom());
            MemoryPlan unstreamed = plan(model, plain, 11 * MIB);
            long moved = onHost(roomy) - onHost(unstreamed);
            assertTrue(moved >= 2 && moved <= 6, moved + " more experts on the cpu");

            MemoryPlan whole = plan(model, plain.streaming(16, 128, true), 64 * MIB);
            assertEquals(64, whole.options().maxRows(), "longer batches are for streaming alone");
            assertEquals(0, onHost(whole));
            assertEquals(OptionalInt.empty(), whole.streamedFrom(), "there is nothing to stream");

            long tight = unstreamedHome(model) + MIB;
            assertFalse(plan(model, asked, tight).fits());
            MemoryPlan left = plan(model, optional, tight);
            assertTrue(left.fits());
            assertEquals(OptionalInt.empty(), left.streamedFrom());
        }
    }

    private static long onHost(MemoryPlan plan) {
        return plan.placement().layers().stream()
                .mapToLong(layer -> layer.held(1).size())
                .sum();
    }

    /** What the home takes if it has no experts. */
    private static long unstreamedHome(Model model) throws IOException {
        List<PlanDevice> devices = List.of(device("cuda:0", 1L << 30, false), device("cpu:0", 1L << 30, true));
        Places places =
                new Places.By(Split.EXPERTS, OptionalInt.of(model.config().experts()));
        return new Planner(model, devices, places)
                .plan(setting(64))
                .shares()
                .getFirst()
                .bytes();
    }
}
