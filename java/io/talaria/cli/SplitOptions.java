package io.talaria.cli;

import io.talaria.model.Model;
import io.talaria.model.Placement;
import io.talaria.placement.MemoryPlan;
import io.talaria.placement.PlanDevice;
import io.talaria.placement.Planner.Places;
import io.talaria.placement.Split;
import io.talaria.placement.Streaming;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import picocli.CommandLine.Option;

/** How a model is divided among devices. */
final class SplitOptions {
    static final String CPU = "cpu";
    private static final int MAX_ROWS = 1 << 14;

    @Option(
            names = "--split",
            paramLabel = "HOW",
            description =
                    "Over several devices: experts (spread over all of them, everything else on the first), layers (one"
                            + " after the other), ffn (like experts, but each device has a part of every expert), tensor"
                            + " (like ffn, but each device has a part of attention, too), or auto (what 'experts"
                            + " simulate' finds fastest for one text, after measuring the devices)."
                            + " Default: experts.")
    private String split;

    @Option(
            names = "--cpu-experts",
            paramLabel = "N|auto",
            description =
                    "So many of each layer's experts are computed by the cpu, and the others by the other devices;"
                            + " auto: those that the others have no room for. Adds cpu to the devices.")
    private String cpuExperts;

    @Option(
            names = "--stream-prompts",
            paramLabel = "N|auto|off",
            description =
                    "Batches of N tokens and more have the cpu's experts computed by the device beside it, which reads them"
                            + " from the file, layer by layer; auto: a GPU does, where that should be faster and it has"
                            + " the room. Default: auto.")
    private String streamPrompts;

    @Option(
            names = "--placement",
            paramLabel = "FILE",
            description = "Which expert and which layer is on which device, as --placement-out writes it.")
    private Path placement;

    @Option(names = "--placement-out", paramLabel = "FILE", description = "Writes what was chosen to a file.")
    private Path out;

    private Optional<PlacementFile> file = Optional.empty();

    /** Whether something was named that goes with one list of devices. */
    boolean oneListNamed() {
        return placement != null || out != null || cpuExperts != null;
    }

    boolean cpuExpertsNamed() {
        return cpuExperts != null;
    }

    /** The devices that were chosen, of a placement file if one was named, and with the cpu if it is to have experts. */
    DeviceOptions.Choice choose(DeviceOptions devices) throws IOException {
        return choose(devices, read());
    }

    /** The same with the devices that {@link #read} returned. */
    DeviceOptions.Choice choose(DeviceOptions devices, List<String> placed) {
        DeviceOptions.Choice choice = devices.choose(placed);
        if (cpuExperts == null) {
            return choice;
        }
        List<String> names = new ArrayList<>(choice.devices());
        if (names.stream().allMatch(SplitOptions::isCpu)) {
            throw new BadArgumentException("--cpu-experts " + cpuExperts
                    + ": name a device for the other experts, as in --device cuda:0; there is only the cpu");
        }
        if (names.stream().noneMatch(SplitOptions::isCpu)) {
            names.add(CPU);
        }
        return choice.on(names);
    }

    private static boolean isCpu(String device) {
        return device.equals(CPU) || device.startsWith(CPU + ":");
    }

    /** Reads the placement file, if one was named, and returns its devices. */
    List<String> read() throws IOException {
        if (out != null) {
            OutFile.check("--placement-out", out);
        }
        if (cpuExperts != null && !how().equals("experts")) {
            throw new BadArgumentException("--cpu-experts goes with --split experts, not with " + split);
        }
        if (placement == null) {
            return List.of();
        }
        if (split != null || cpuExperts != null) {
            throw new BadArgumentException(
                    (split != null ? "--split" : "--cpu-experts") + " and --placement: name one of them");
        }
        file = Optional.of(PlacementFile.read(placement));
        return file.get().devices();
    }

    /** Whether long prompts are streamed. */
    Streaming streaming() {
        String how = streamPrompts == null ? "auto" : streamPrompts.toLowerCase(Locale.ROOT);
        if (how.equals("auto")) {
            return Streaming.AUTO;
        }
        if (how.equals("off")) {
            return Streaming.OFF;
        }
        int rows = how.matches("\\d{1,9}") ? Integer.parseInt(how) : 0;
        if (rows < 1 || rows > MAX_ROWS) {
            throw new BadArgumentException(
                    "--stream-prompts " + streamPrompts + ": write 1 to " + MAX_ROWS + " tokens, auto or off");
        }
        return new Streaming(OptionalInt.of(rows));
    }

    /** For devices that are here; if the choice is left to Talaria, they are opened and measured. */
    Places places(Model model, DeviceOptions.Choice choice) throws IOException {
        if (isAuto() && choice.devices().size() == 1) {
            return new Places.By(Split.EXPERTS); // of one device there is nothing to measure
        }
        return isAuto() ? auto(Speeds.present(choice, new SpeedOptions())) : places(model);
    }

    /** For devices of the catalogue, perhaps with a cpu that is here. */
    Places places(Model model, List<PlanDevice> planned) throws IOException {
        return isAuto() ? auto(Speeds.planned(planned, new SpeedOptions())) : places(model);
    }

    private static Places auto(Speeds speeds) {
        return new Places.Auto(speeds.workers(), speeds.costs());
    }

    private boolean isAuto() {
        return how().equals("auto");
    }

    private Places places(Model model) throws IOException {
        if (file.isPresent()) {
            return new Places.Given(file.get().placement(model));
        }
        Split by = switch (how()) {
            case "experts" -> Split.EXPERTS;
            case "layers" -> Split.LAYERS;
            case "ffn" -> Split.FFN;
            case "tensor" -> Split.TENSOR;
            default ->
                throw new BadArgumentException("--split " + split + ": write experts, layers, ffn, tensor or auto");
        };
        return new Places.By(by, cpuExperts(model.config().experts()));
    }

    private String how() {
        return split == null ? "experts" : split.toLowerCase(Locale.ROOT);
    }

    /** Empty if it is left to the room on the other devices. */
    private OptionalInt cpuExperts(int experts) {
        if (cpuExperts == null || cpuExperts.equalsIgnoreCase("auto")) {
            return OptionalInt.empty();
        }
        int count = cpuExperts.matches("\\d{1,9}") ? Integer.parseInt(cpuExperts) : -1;
        if (count < 0 || count > experts) {
            throw new BadArgumentException("--cpu-experts " + cpuExperts + ": write 0 to the " + experts
                    + " experts that each layer of this model has, or auto");
        }
        return OptionalInt.of(count);
    }

    /** Says why this was chosen, if there was a choice, and writes it, if that was asked for. */
    void write(List<String> devices, MemoryPlan plan) throws IOException {
        plan.why().ifPresent(why -> System.err.println("talaria: " + why));
        write(devices, plan.placement());
    }

    /** Writes what was chosen, if that was asked for. */
    void write(List<String> devices, Placement chosen) throws IOException {
        if (out != null) {
            PlacementFile.write(out, devices, chosen);
        }
    }
}
