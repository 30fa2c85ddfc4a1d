package io.talaria.placement;

import io.talaria.backend.OpenOptions;
import io.talaria.model.Model;
import io.talaria.model.Placement.LayerPlace;
import io.talaria.placement.MemoryPlan.Share;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;

/** The devices of a model where nobody named any: the best one, and the cpu for experts that this has no room for. */
public final class DeviceChoice {
    private static final String HOST = "cpu";
    private static final long MIB = 1L << 20;
    /** Of a Mac's memory, what the GPU had better not take. */
    private static final long FOR_THE_SYSTEM = 3L << 30;

    private DeviceChoice() {}

    /**
     * Chooses.
     *
     * @param best the best device here
     * @return its name, and the cpu's if that helps
     * @throws IOException if the file cannot be read, or is of a kind that can be looked at but not run
     */
    public static List<String> of(
            Model model, String best, OpenOptions opening, Planner.Places places, PlanSetting setting)
            throws IOException {
        model.requireExperts();
        if (!(places instanceof Planner.Places.By by) || by.split() != Split.EXPERTS) {
            return List.of(best);
        }
        Optional<List<PlanDevice>> alone = PlanDevice.present(List.of(best), opening, device -> OptionalDouble.empty());
        if (alone.isEmpty() || alone.get().getFirst().host()) {
            return List.of(best);
        }
        PlanDevice host = PlanDevice.present(List.of(HOST), opening, device -> OptionalDouble.empty())
                .orElseThrow()
                .getFirst();
        return needsHost(model, alone.get().getFirst(), host, places, setting) ? List.of(best, HOST) : List.of(best);
    }

    static boolean needsHost(
            Model model, PlanDevice device, PlanDevice host, Planner.Places places, PlanSetting setting)
            throws IOException {
        return !new Planner(model, List.of(device), places).fits(setting)
                && new Planner(model, List.of(device, host), places).fits(setting);
    }

    /**
     * What was done, in a sentence, and how to do without it.
     *
     * @param hostBytes the machine's memory
     */
    public static String notice(MemoryPlan plan, long hostBytes) {
        Share device = plan.shares().getFirst();
        List<LayerPlace> layers = plan.placement().layers();
        long experts = layers.stream().mapToLong(layer -> layer.held(1).size()).sum();
        long all = layers.stream().mapToLong(layer -> layer.experts().size()).sum();
        String sentence = String.format(
                Locale.ROOT,
                "%s has no room for all of the model: %d of %d experts are computed by the cpu, more slowly.",
                device.device().name(),
                experts,
                all);
        long needed = plan.shares().stream().mapToLong(Share::bytes).sum();
        long most = hostBytes - FOR_THE_SYSTEM;
        if (device.device().name().startsWith("metal") && needed <= most) {
            sentence += String.format(
                    Locale.ROOT,
                    " 'sudo sysctl iogpu.wired_limit_mb=%d' lets the GPU have all of it, until the next start.",
                    most / MIB);
        }
        return sentence;
    }
}
