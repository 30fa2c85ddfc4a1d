package io.talaria.placement;

import io.talaria.backend.Backends;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.OpenOptions;
import io.talaria.model.Model;
import io.talaria.model.Placement.LayerPlace;
import io.talaria.placement.MemoryPlan.Share;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.Stream;

/**
 * The devices of a model where nobody named any: the best one; the others of its kind, if it has no room for all; and the cpu
 * for experts that they have no room for.
 */
public final class DeviceChoice {
    private static final String HOST = "cpu";
    /** Backends whose devices are each a GPU of its own. */
    private static final List<String> OWN_GPUS = List.of("cuda", "hip");

    private static final long MIB = 1L << 20;
    /** Of a Mac's memory, what the GPU had better not take. */
    private static final long FOR_THE_SYSTEM = 3L << 30;

    private DeviceChoice() {}

    /**
     * Chooses.
     *
     * @param best the best device here
     * @return its name, and those of others if they help
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
        List<String> names = new ArrayList<>(List.of(best));
        names.addAll(others(alone.get().getFirst().name()));
        names.add(HOST);
        List<PlanDevice> all =
                PlanDevice.present(names, opening, GpuCatalogue::bandwidth).orElseThrow();
        return names.subList(0, needed(model, all.subList(0, all.size() - 1), all.getLast(), places, setting));
    }

    private static List<String> others(String best) {
        return Backends.all().stream()
                .filter(backend -> OWN_GPUS.contains(backend.name()) && best.startsWith(backend.name() + ":"))
                .flatMap(backend -> backend.devices().stream())
                .map(DeviceInfo::device)
                .filter(device -> !device.equals(best))
                .toList();
    }

    /**
     * How many of the devices a model needs, of the best, the others and the host in this order: as few as it fits on; one, if
     * it fits on no number of them.
     */
    static int needed(Model model, List<PlanDevice> own, PlanDevice host, Planner.Places places, PlanSetting setting)
            throws IOException {
        List<PlanDevice> devices = new ArrayList<>();
        for (PlanDevice device : Stream.concat(own.stream(), Stream.of(host)).toList()) {
            devices.add(device);
            if (new Planner(model, devices, places).fits(setting)) {
                return devices.size();
            }
        }
        return 1;
    }

    /**
     * What was done, in a sentence, and how to do without it.
     *
     * @param plan over several devices
     * @param hostBytes the machine's memory
     */
    public static String notice(MemoryPlan plan, long hostBytes) {
        Share device = plan.shares().getFirst();
        List<LayerPlace> layers = plan.placement().layers();
        int last = plan.shares().size() - 1;
        if (!plan.shares().get(last).device().host()) {
            return device.device().name() + " has no room for all of the model: its experts are spread over "
                    + String.join(", ", plan.names()) + ".";
        }
        long experts =
                layers.stream().mapToLong(layer -> layer.held(last).size()).sum();
        long all = layers.stream().mapToLong(layer -> layer.experts().size()).sum();
        String sentence = String.format(
                Locale.ROOT,
                "%s %s no room for all of the model: %d of %d experts are computed by the cpu, more slowly.",
                String.join(", ", plan.names().subList(0, last)),
                last == 1 ? "has" : "have",
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
