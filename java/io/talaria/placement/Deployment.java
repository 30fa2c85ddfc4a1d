package io.talaria.placement;

import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.MemoryUse;
import io.talaria.backend.OpenOptions;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.model.Placement;
import io.talaria.placement.MemoryPlan.Share;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;

/** A model on devices: planned first, and refused if it does not fit; then loaded. It owns the devices and the decoder. */
public final class Deployment implements AutoCloseable {
    private final List<Device> devices;
    private final Decoder decoder;
    private final Optional<MemoryPlan> plan;

    private Deployment(List<Device> devices, Decoder decoder, Optional<MemoryPlan> plan) {
        this.devices = devices;
        this.decoder = decoder;
        this.plan = plan;
    }

    /**
     * Plans, opens the devices and loads.
     *
     * @param names of the devices; the first is the home of a model whose experts are split
     * @throws IOException if the file cannot be read, or is of a kind that can be looked at but not run
     * @throws DeviceException if there is no such device, or the model does not fit; the message says how large it is, and
     *     what to change
     * @throws IllegalArgumentException if the model cannot be divided so
     */
    public static Deployment open(
            Model model,
            List<String> names,
            OpenOptions opening,
            Planner.Places places,
            PlanSetting setting,
            LoadProgress progress)
            throws IOException {
        model.requireExperts();
        Optional<MemoryPlan> plan = plan(model, names, opening, places, setting);
        Placement placement = plan.map(MemoryPlan::placement).orElseGet(() -> Placement.single(model.config()));
        DecoderOptions options = plan.map(MemoryPlan::options).orElse(setting.options());
        List<Device> devices = new ArrayList<>();
        try {
            for (String name : names) {
                devices.add(Backends.open(name, opening));
            }
            Decoder decoder = Decoder.load(model, devices, placement, options, progress);
            try {
                setting.prepare().accept(decoder);
            } catch (RuntimeException | Error e) {
                try (decoder) {
                    throw e;
                }
            }
            return new Deployment(devices, decoder, plan);
        } catch (IOException | RuntimeException | Error e) {
            try {
                closeAll(devices);
            } catch (RuntimeException second) {
                e.addSuppressed(second);
            }
            throw e;
        }
    }

    /** Empty for a device that leaves weights where they are. */
    private static Optional<MemoryPlan> plan(
            Model model, List<String> names, OpenOptions opening, Planner.Places places, PlanSetting setting)
            throws IOException {
        Optional<List<PlanDevice>> planned = PlanDevice.present(names, opening, GpuCatalogue::bandwidth);
        if (planned.isEmpty()) {
            return Optional.empty();
        }
        Planner planner = new Planner(model, planned.get(), places);
        MemoryPlan plan = planner.plan(setting);
        if (!plan.fits()) {
            throw new DeviceException(
                    DeviceException.Kind.OUT_OF_MEMORY,
                    model.name() + " does not fit on " + String.join(",", plan.names()) + ": " + Advice.problem(plan)
                            + "; " + Advice.fix(planner, setting));
        }
        return Optional.of(plan);
    }

    public List<Device> devices() {
        return devices;
    }

    public Decoder decoder() {
        return decoder;
    }

    /** Who has what; empty if there was nothing to plan. */
    public Optional<MemoryPlan> plan() {
        return plan;
    }

    /** What was planned and what is allocated, in lines for people. */
    public List<String> report() {
        List<String> lines = new ArrayList<>();
        for (int i = 0; plan.isPresent() && i < devices.size(); i++) {
            Share share = plan.get().shares().get(i);
            MemoryUse actual = devices.get(i).memory();
            lines.add(line(share.device().name() + " planned", share.use()));
            lines.add(line(share.device().name() + " allocated", actual));
        }
        plan.map(MemoryPlan::streamedFrom)
                .filter(OptionalInt::isPresent)
                .ifPresent(rows -> lines.add("batches of " + rows.getAsInt()
                        + " tokens and more have the cpu's experts streamed to the device beside it"));
        return lines;
    }

    private static String line(String what, MemoryUse use) {
        return String.format(
                Locale.ROOT,
                "%-20s weights %,d, KV cache %,d, scratch %,d, driver's rounding %,d bytes",
                what,
                use.weights(),
                use.kv(),
                use.scratch(),
                use.rounding());
    }

    /** Frees everything. Closing twice does nothing. */
    @Override
    public void close() {
        try {
            decoder.close();
        } finally {
            closeAll(devices);
        }
    }

    /** All of them, whatever one says. */
    private static void closeAll(List<Device> devices) {
        RuntimeException failure = null;
        for (Device device : devices) {
            try {
                device.close();
            } catch (RuntimeException e) {
                failure = e;
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
