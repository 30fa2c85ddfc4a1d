package io.talaria.placement;

import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.MemoryUse;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.model.Placement;
import io.talaria.placement.MemoryPlan.Share;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/**
 * Finds out what a model takes on devices by loading it onto stand-ins that count and keep nothing: the same code as
 * loading, so that the two cannot drift apart.
 */
public final class Planner {
    /** To find a place again for what did not fit; staging grows with the experts that a device has no room for. */
    private static final int ATTEMPTS = 8;

    private final Model model;
    private final List<PlanDevice> devices;
    private final Places places;

    /** Who has what: given beforehand, or to be found. */
    public sealed interface Places {
        /** As the user says. */
        record Given(Placement placement) implements Places {}

        /**
         * By the devices' room, and where parts are read at the same time by their bandwidth.
         *
         * @param cpuExperts how many of each layer's experts the device cpu has, if that is not left to the others' room; with
         *     {@link Split#EXPERTS} alone
         */
        record By(Split split, OptionalInt cpuExperts) implements Places {
            public By {
                if (cpuExperts.isPresent() && split != Split.EXPERTS) {
                    throw new IllegalArgumentException("a number of experts for the cpu goes with a split by experts");
                }
            }

            public By(Split split) {
                this(split, OptionalInt.empty());
            }
        }

        /** Whatever should write one text fastest, of the splits that there are and of no split. */
        record Auto(List<Worker> workers, Costs costs) implements Places {}
    }

    /** @param devices in the order of the placement's numbers */
    public Planner(Model model, List<PlanDevice> devices, Places places) {
        this.model = model;
        this.devices = List.copyOf(devices);
        this.places = places;
    }

    /**
     * Plans; without streaming, if that may be and it has no room or is of no use.
     *
     * @throws IOException if the file cannot be read
     * @throws DeviceException if the model is larger than any device, or is not one that the devices compute
     * @throws IllegalArgumentException if the model cannot be divided so
     */
    public MemoryPlan plan(PlanSetting setting) throws IOException {
        if (setting.unstreamed().isEmpty()) {
            return planAsSet(setting);
        }
        MemoryPlan unstreamed = plan(setting.unstreamed().get());
        if (!unstreamed.fits() || !unstreamed.leavesExpertsToHost()) {
            return unstreamed;
        }
        MemoryPlan streamed = planAsSet(setting);
        return streamed.fits() ? streamed : unstreamed;
    }

    private MemoryPlan planAsSet(PlanSetting setting) throws IOException {
        return switch (places) {
            case Places.Given given -> plan(given.placement(), setting);
            case Places.Auto auto
            when devices.size() == 1 ->
                plan(Placement.single(model.config()), setting).because("--split auto: there is one device");
            case Places.Auto auto -> SplitChoice.choose(model, devices, auto, setting);
            case Places.By by
            when devices.size() == 1 && by.cpuExperts().isEmpty() -> plan(Placement.single(model.config()), setting);
            case Places.By by -> spread(by, setting);
        };
    }

    private MemoryPlan plan(Placement placement, PlanSetting setting) throws IOException {
        List<MemoryUse> uses = measure(devices, placement, setting);
        List<Share> shares = IntStream.range(0, devices.size())
                .mapToObj(i -> new Share(devices.get(i), uses.get(i)))
                .toList();
        return new MemoryPlan(placement, shares, setting.options(), Optional.empty());
    }

    /**
     * By room, of which nobody knows how much is lost between pages before it is known who has what: where that is too much,
     * a device has so much less room.
     */
    private MemoryPlan spread(Places.By by, PlanSetting setting) throws IOException {
        long[] room = new long[devices.size()];
        boolean[] host = new boolean[devices.size()];
        double[] speed = new double[devices.size()];
        long kv = 0;
        Placement single = Placement.single(model.config());
        for (int i = 0; i < room.length; i++) {
            PlanDevice device = devices.get(i);
            MemoryUse whole = measure(List.of(device), single, setting).getFirst();
            // Slots have a plane more for each other device.
            long planes = (devices.size() - 1L)
                    * setting.options().maxRows()
                    * model.config().expertsUsed();
            long slots = planes * model.config().hidden() * Float.BYTES;
            room[i] = device.freeBytes() - device.overheadBytes() - whole.scratch() - whole.rounding() - slots;
            host[i] = device.host();
            speed[i] = device.gigabytesPerSecond().orElse(Double.NaN);
            kv = whole.kv();
        }
        MemoryPlan first = plan(new Spread(model, room, host, speed).place(by, kv), setting);
        MemoryPlan plan = first;
        for (int attempt = 0; attempt < ATTEMPTS && !plan.fits() && plan.fitsTogether(); attempt++) {
            for (int i = 0; i < room.length; i++) {
                Share share = plan.shares().get(i);
                room[i] -= Math.max(0, share.bytes() - share.device().freeBytes());
            }
            plan = plan(new Spread(model, room, host, speed).place(by, kv), setting);
        }
        return plan.fits() ? plan : first;
    }

    private List<MemoryUse> measure(List<PlanDevice> planned, Placement placement, PlanSetting setting)
            throws IOException {
        List<Device> standIns = new ArrayList<>();
        try {
            planned.forEach(device -> standIns.add(device.standIn().get()));
            try (Decoder decoder = Decoder.load(model, standIns, placement, setting.options(), LoadProgress.NONE)) {
                setting.prepare().accept(decoder);
                return standIns.stream().map(Device::memory).toList();
            }
        } finally {
            standIns.forEach(Device::close);
        }
    }

    /** Whether it fits; what is larger than any device does not. */
    boolean fits(PlanSetting setting) throws IOException {
        try {
            return plan(setting).fits();
        } catch (DeviceException e) {
            if (e.kind() != DeviceException.Kind.OUT_OF_MEMORY) {
                throw e;
            }
            return false;
        }
    }

    /** The largest context, in whole blocks of the cache, with which the model fits; empty if it never does. */
    public OptionalInt largestContext(PlanSetting setting) throws IOException {
        if (setting.forContext().isEmpty()) {
            return OptionalInt.empty();
        }
        IntFunction<PlanSetting> forContext = setting.forContext().get();
        int trained = model.config().context();
        if (fits(forContext.apply(trained))) {
            return OptionalInt.of(trained);
        }
        int block = DecoderOptions.POSITIONS_PER_BLOCK;
        int fitting = 0; // blocks
        int high = (trained - 1) / block;
        while (fitting < high) {
            int middle = high - (high - fitting) / 2;
            if (fits(forContext.apply(middle * block))) {
                fitting = middle;
            } else {
                high = middle - 1;
            }
        }
        return fitting == 0 ? OptionalInt.empty() : OptionalInt.of(fitting * block);
    }
}
