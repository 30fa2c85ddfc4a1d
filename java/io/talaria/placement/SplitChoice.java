package io.talaria.placement;

import io.talaria.model.Model;
import io.talaria.model.Placement;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/** Chooses among the splits that there are, and no split at all, what writes one text fastest as it is simulated. */
final class SplitChoice {
    private record Candidate(String name, MemoryPlan plan, double tokensPerSecond) {
        String speed() {
            return String.format(Locale.ROOT, "%s %.1f", name, tokensPerSecond);
        }
    }

    private SplitChoice() {}

    /**
     * The fastest that fits, with the reason; the first split, if none fits.
     *
     * @throws IOException if the file cannot be read
     */
    static MemoryPlan choose(Model model, List<PlanDevice> devices, Planner.Places.Auto auto, PlanSetting setting)
            throws IOException {
        ModelWork work = ModelWork.of(model, setting.options().kvType());
        Simulation simulation =
                new Simulation(work, ExpertChoice.evenLayers(model.config()), auto.workers(), auto.costs());
        List<Candidate> fitting = new ArrayList<>();
        List<String> others = new ArrayList<>();
        MemoryPlan first = null;
        for (Planner.Places places : places(model)) {
            String name = places instanceof Planner.Places.By by
                    ? "--split " + by.split().name().toLowerCase(Locale.ROOT)
                    : "all on " + devices.getFirst().name();
            try {
                MemoryPlan plan = new Planner(model, devices, places).plan(setting);
                first = first == null && places instanceof Planner.Places.By ? plan : first;
                if (plan.fits()) {
                    Layout layout = Layout.of(plan.placement(), devices.size());
                    fitting.add(new Candidate(
                            name, plan, 1 / simulation.token(layout, 0).total()));
                } else {
                    others.add(name + " does not fit");
                }
            } catch (IllegalArgumentException e) {
                others.add(name + " cannot be");
            }
        }
        if (fitting.isEmpty()) {
            return first;
        }
        fitting.sort(Comparator.comparingDouble(Candidate::tokensPerSecond).reversed());
        Candidate best = fitting.getFirst();
        fitting.stream().skip(1).map(Candidate::speed).forEach(others::add);
        return best.plan()
                .because("--split auto: " + best.speed() + " tokens/s simulated; " + String.join(", ", others) + " ("
                        + auto.costs().link().name() + ")");
    }

    /** No split first: of two that are as fast it is the simpler. */
    private static List<Planner.Places> places(Model model) {
        List<Planner.Places> places = new ArrayList<>();
        places.add(new Planner.Places.Given(Placement.single(model.config())));
        for (Split split : Split.values()) {
            places.add(new Planner.Places.By(split));
        }
        return places;
    }
}
