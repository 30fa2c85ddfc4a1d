package io.talaria.placement;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

/** Where nobody named devices, the cpu takes the experts that the best one has no room for, and only then. */
class DeviceChoiceTest {
    private static final long GIB = 1L << 30;
    private static final Places BY_ROOM = new Places.By(Split.EXPERTS);
    private static final PlanSetting SETTING = new PlanSetting(
            DecoderOptions.of(Activations.INT8, TensorType.F16, 4, 16),
            decoder -> decoder.prepare(new BatchShape(1, 1, 1, 4, 0, 0, 0), 1),
            Optional.empty());

    private static Model model() throws IOException {
        return SyntheticModel.open(
                new SyntheticShape("small", 256, 4, 4, 2, 64, 512, 8, 2, 512, 8192), Recipe.Q8_0); // 13 MB of experts
    }

    private static PlanDevice device(String name, long free, boolean host) {
        PlanDevice cpu = PlanDevice.present(List.of("cpu"), new OpenOptions(1), info -> OptionalDouble.empty())
                .orElseThrow()
                .getFirst();
        return new PlanDevice(name, cpu.standIn(), free, 0, OptionalDouble.empty(), false, host);
    }

    /** @param free of each GPU */
    private static int needed(long hostFree, long... free) throws IOException {
        List<PlanDevice> own = LongStream.of(free)
                .mapToObj(bytes -> device("hip:0", bytes, false))
                .toList();
        try (Model model = model()) {
            return DeviceChoice.needed(model, own, device("cpu:0", hostFree, true), BY_ROOM, SETTING);
        }
    }

    @Test
    void theCpuIsTakenWhereItHelps() throws IOException {
        assertEquals(1, needed(GIB, GIB), "all of it fits");
        assertEquals(2, needed(GIB, 10_000_000), "some experts do not");
        assertEquals(1, needed(1_000_000, 10_000_000), "they fit nowhere");
        assertEquals(1, needed(GIB, 100_000), "not even what is no expert fits");
    }

    @Test
    void otherGpusComeBeforeTheCpu() throws IOException {
        assertEquals(1, needed(GIB, GIB, GIB), "one is enough");
        assertEquals(2, needed(GIB, 10_000_000, 10_000_000), "two are");
        assertEquals(3, needed(GIB, 6_000_000, 6_000_000), "the cpu has what two have no room for");
        assertEquals(1, needed(1_000_000, 6_000_000, 2_000_000), "they fit nowhere");
    }

    @Test
    void theCpuAloneIsNotDivided() throws IOException {
        try (Model model = model()) {
            assertEquals(List.of("cpu"), DeviceChoice.of(model, "cpu", new OpenOptions(1), BY_ROOM, SETTING));
            assertEquals(
                    List.of("reference"), DeviceChoice.of(model, "reference", new OpenOptions(1), BY_ROOM, SETTING));
        }
    }

    @Test
    void theNoticeCountsAndHelps() throws IOException {
        try (Model model = model()) {
            List<PlanDevice> devices = List.of(device("metal:0", 10_000_000, false), device("cpu:0", GIB, true));
            MemoryPlan plan = new Planner(model, devices, BY_ROOM).plan(SETTING);
            long moved = plan.placement().layers().stream()
                    .mapToLong(layer -> layer.held(1).size())
                    .sum();
            assertTrue(moved > 0 && moved < 32, () -> "experts on the cpu: " + moved);
            String notice = DeviceChoice.notice(plan, 32 * GIB);
            assertTrue(notice.contains(moved + " of 32 experts are computed by the cpu"), notice);
            assertTrue(notice.contains("'sudo sysctl iogpu.wired_limit_mb=29696'"), notice);
            assertFalse(DeviceChoice.notice(plan, 3 * GIB).contains("sysctl"), "that Mac has not so much");

            List<PlanDevice> three = List.of(
                    device("hip:0", 6_000_000, false), device("hip:1", 6_000_000, false), device("cpu:0", GIB, true));
            String all = DeviceChoice.notice(new Planner(model, three, BY_ROOM).plan(SETTING), 32 * GIB);
            assertTrue(all.startsWith("hip:0, hip:1 have no room for all of the model: "), all);
            List<PlanDevice> two = List.of(device("hip:0", 10_000_000, false), device("hip:1", 10_000_000, false));
            String spread = DeviceChoice.notice(new Planner(model, two, BY_ROOM).plan(SETTING), 32 * GIB);
            assertEquals("hip:0 has no room for all of the model: its experts are spread over hip:0, hip:1.", spread);
        }
    }
}
