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
        return new PlanDevice(name, cpu.standIn(), free, 0, OptionalDouble.empty(), host);
    }

    private static boolean needsHost(long free, long hostFree) throws IOException {
        try (Model model = model()) {
            return DeviceChoice.needsHost(
                    model, device("metal:0", free, false), device("cpu:0", hostFree, true), BY_ROOM, SETTING);
        }
    }

    @Test
    void theCpuIsTakenWhereItHelps() throws IOException {
        assertFalse(needsHost(GIB, GIB), "all of it fits");
        assertTrue(needsHost(10_000_000, GIB), "some experts do not");
        assertFalse(needsHost(10_000_000, 1_000_000), "they fit nowhere");
        assertFalse(needsHost(100_000, GIB), "not even what is no expert fits");
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
        }
    }
}
