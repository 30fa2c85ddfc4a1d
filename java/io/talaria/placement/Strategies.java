package io.talaria.placement;

import io.talaria.backend.DeviceException;
import io.talaria.model.DecoderOptions;
import io.talaria.model.Model;
import io.talaria.model.Placement;
import io.talaria.placement.Layout.Layer;
import io.talaria.placement.MemoryPlan.Share;
import io.talaria.placement.Strategy.Kind;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The ways to place a model on devices that {@link Simulation} compares: those that there are, as {@link Planner} would place
 * them, and some that there are not, by their bytes and the room that the plan of {@link Split#EXPERTS} leaves.
 */
public final class Strategies {
    /** The name of what places experts by how often they are used. */
    public static final String BY_USE = "experts by use";

    private final Model model;
    private final List<PlanDevice> devices;
    private final List<Worker> workers;
    private final PlanSetting setting;
    private final ModelWork work;
    private final Simulation simulation;

    /**
     * @param devices and {@code workers} in one order
     * @param simulation of that model on those workers, which places experts by how often they are used
     */
    public Strategies(
            Model model,
            List<PlanDevice> devices,
            List<Worker> workers,
            PlanSetting setting,
            ModelWork work,
            Simulation simulation) {
        this.model = model;
        this.devices = List.copyOf(devices);
        this.workers = List.copyOf(workers);
        this.setting = setting;
        this.work = work;
        this.simulation = simulation;
    }

    /**
     * All of them; of one device only that one.
     *
     * @throws IOException if the model's file cannot be read
     */
    public List<Strategy> all() throws IOException {
        List<Strategy> all = new ArrayList<>(single());
        if (devices.size() == 1) {
            return all;
        }
        Optional<MemoryPlan> experts = planned(Split.EXPERTS, all);
        planned(Split.LAYERS, all);
        planned(Split.FFN, all);
        planned(Split.TENSOR, all);
        if (experts.isPresent() && experts.get().fits()) {
            byUse(experts.get(), all);
        } else {
            all.add(Strategy.impossible(BY_USE, Kind.FILE, "as experts"));
            all.add(Strategy.impossible(BY_USE + ", some twice", Kind.ESTIMATE, "as experts"));
        }
        experts.map(MemoryPlan::shares).ifPresent(shares -> {
            long[] room = shares.stream().mapToLong(Strategies::room).toArray();
            all.add(cached(room[0]));
        });
        return all;
    }

    /** What weights and cache may take; scratch and driver's part are those of the plan. */
    private static long room(Share share) {
        return share.device().freeBytes() - share.overheadBytes() - share.use().scratch();
    }

    /** Everything on one device; each kind of device once. */
    private List<Strategy> single() throws IOException {
        List<Strategy> single = new ArrayList<>();
        List<String> names = devices.stream().map(PlanDevice::name).toList();
        for (int i = 0; i < devices.size(); i++) {
            if (names.indexOf(names.get(i)) == i) {
                String name = "one device: " + names.get(i);
                Layout layout = Layout.of(
                        new Placement(Collections.nCopies(
                                model.config().layers(),
                                Placement.LayerPlace.whole(i, model.config().experts()))),
                        devices.size());
                Planner planner = new Planner(model, List.of(devices.get(i)), new Planner.Places.By(Split.EXPERTS));
                single.add(new Strategy(name, Kind.ALONE, Optional.of(layout), problem(planner)));
            }
        }
        return single;
    }

    private Optional<String> problem(Planner planner) throws IOException {
        try {
            MemoryPlan plan = planner.plan(setting);
            return plan.fits() ? Optional.empty() : Optional.of(Advice.problem(plan));
        } catch (DeviceException e) {
            return Optional.of(outOfMemory(e));
        }
    }

    private static String outOfMemory(DeviceException e) {
        if (e.kind() != DeviceException.Kind.OUT_OF_MEMORY) {
            throw e;
        }
        return e.getMessage();
    }

    /** A split that there is. */
    private Optional<MemoryPlan> planned(Split split, List<Strategy> all) throws IOException {
        String name = split.name().toLowerCase(Locale.ROOT);
        try {
            MemoryPlan plan = new Planner(model, devices, new Planner.Places.By(split)).plan(setting);
            Optional<String> problem = plan.fits() ? Optional.empty() : Optional.of(Advice.problem(plan));
            Layout layout = Layout.of(plan.placement(), devices.size());
            all.add(new Strategy(name, Kind.SPLIT, Optional.of(layout), problem));
            return Optional.of(plan);
        } catch (DeviceException e) {
            all.add(Strategy.impossible(name, Kind.SPLIT, outOfMemory(e)));
        } catch (IllegalArgumentException e) {
            all.add(Strategy.impossible(name, Kind.SPLIT, e.getMessage()));
        }
        return Optional.empty();
    }

    /** Experts exchanged between devices and moved into free room as long as a token gets faster; then copied. */
    private void byUse(MemoryPlan plan, List<Strategy> all) throws IOException {
        double[] spare = plan.shares().stream()
                .mapToDouble(share -> share.device().freeBytes() - share.bytes())
                .toArray();
        List<List<List<Integer>>> layers = new ArrayList<>(); // [layers][experts][holders]
        for (int i = 0; i < work.layers().size(); i++) {
            List<List<Integer>> holders = new ArrayList<>();
            plan.placement().layers().get(i).experts().forEach(device -> holders.add(List.of(device)));
            rearrange(i, holders, spare);
            layers.add(holders);
        }
        Layout placed = whole(layers);
        Planner.Places given = new Planner.Places.Given(placed.placement().orElseThrow());
        all.add(new Strategy(BY_USE, Kind.FILE, Optional.of(placed), problem(new Planner(model, devices, given))));
        for (int i = 0; i < layers.size(); i++) {
            double[] ofLayer = new double[spare.length];
            int left = layers.size() - i;
            Arrays.setAll(ofLayer, device -> spare[device] / left);
            copy(i, layers.get(i), ofLayer);
            Arrays.setAll(spare, device -> spare[device] - spare[device] / left + ofLayer[device]);
        }
        all.add(Strategy.estimate(BY_USE + ", some twice", whole(layers)));
    }

    private static Layout whole(List<List<List<Integer>>> layers) {
        return new Layout(layers.stream()
                .map(holders -> (Layer) new Layer.Whole(0, List.copyOf(holders)))
                .toList());
    }

    /** Two experts of different devices change places, or one moves where there is room, while that helps. */
    private void rearrange(int layer, List<List<Integer>> holders, double[] spare) {
        double bytes = work.layers().get(layer).expertBytes();
        boolean better = true;
        while (better) {
            better = false;
            double now = simulation.ofOne(layer, holders);
            for (int a = 0; a < holders.size() && !better; a++) {
                int from = holders.get(a).getFirst();
                for (int device = 0; device < spare.length && !better; device++) {
                    if (device != from && spare[device] >= bytes) {
                        holders.set(a, List.of(device));
                        better = isFaster(layer, holders, now);
                        if (better) {
                            spare[device] -= bytes;
                            spare[from] += bytes;
                        } else {
                            holders.set(a, List.of(from));
                        }
                    }
                }
                for (int b = a + 1; b < holders.size() && !better; b++) {
                    Collections.swap(holders, a, b);
                    better = isFaster(layer, holders, now);
                    if (!better) {
                        Collections.swap(holders, a, b);
                    }
                }
            }
        }
    }

    /** By more than rounding. */
    private boolean isFaster(int layer, List<List<Integer>> holders, double than) {
        return simulation.ofOne(layer, holders) < than * (1 - 1e-9);
    }

    /** The expert whose copies on all devices help most, again and again while there is room. */
    private void copy(int layer, List<List<Integer>> holders, double[] spare) {
        double bytes = work.layers().get(layer).expertBytes();
        List<Integer> everywhere = IntStream.range(0, spare.length).boxed().toList();
        int best = 0;
        while (best >= 0) {
            best = -1;
            double fastest = simulation.ofOne(layer, holders) * (1 - 1e-9);
            for (int expert = 0; expert < holders.size(); expert++) {
                List<Integer> before = holders.get(expert);
                boolean hasRoom = everywhere.stream().allMatch(i -> before.contains(i) || spare[i] >= bytes);
                if (before.size() < everywhere.size() && hasRoom) {
                    holders.set(expert, everywhere);
                    double time = simulation.ofOne(layer, holders);
                    holders.set(expert, before);
                    if (time < fastest) {
                        fastest = time;
                        best = expert;
                    }
                }
            }
            if (best >= 0) {
                for (int i : everywhere) {
                    spare[i] -= holders.get(best).contains(i) ? 0 : bytes;
                }
                holders.set(best, everywhere);
            }
        }
    }

    private double kvPositions() {
        return (double) setting.options().kvBlocks() * DecoderOptions.POSITIONS_PER_BLOCK;
    }

    /** As many experts of each layer as the first device has room for. */
    private Strategy cached(long room) {
        String name = "experts cached on " + devices.getFirst().name();
        double free = room - work.homeBytes(kvPositions());
        int kept = (int) Math.min(model.config().experts(), Math.floor(free / work.expertBytes()));
        if (kept < work.expertsUsed()) {
            return Strategy.impossible(name, Kind.ESTIMATE, "there is no room for the experts of one token");
        }
        Layer layer = new Layer.Cached(0, kept);
        Layout layout = new Layout(Collections.nCopies(work.layers().size(), layer));
        return Strategy.estimate(name + ", " + kept + " a layer", layout);
    }
}
