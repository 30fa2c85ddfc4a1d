package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.Device;
import java.io.IOException;
import java.util.List;
import java.util.function.Consumer;

/** Every verb, in every weight format and mode, in shapes that are awkward to compute, with inputs that are made up. */
public final class OpValidation {
    private OpValidation() {}

    /** The modes of a device: half, and int8 in the blocks that it rounds in. */
    public static List<Activations> modes(Device device) {
        return List.of(
                Activations.HALF, device.info().activationBlock() == 256 ? Activations.INT8_256 : Activations.INT8);
    }

    /**
     * Runs all cases.
     *
     * @param reference what defines the right results
     * @param sink takes each check as it is made
     * @param progress hears how many of how many cases are done
     * @throws io.talaria.backend.DeviceException if the device is lost, or has no room
     */
    public static void run(
            Device reference, Device device, List<Activations> modes, Consumer<Check> sink, ValidationProgress progress)
            throws IOException {
        run(reference, device, cases(modes), sink, progress);
    }

    static void run(Device reference, Device device, CaseList cases, Consumer<Check> sink, ValidationProgress progress)
            throws IOException {
        for (int done = 0; done < cases.size(); done++) {
            progress.at(done, cases.size());
            try (Rig expecting = new Rig(reference);
                    Rig computing = new Rig(device)) {
                cases.make(done).run(expecting, computing).checks().forEach(sink);
            }
        }
        progress.at(cases.size(), cases.size());
    }

    private static CaseList cases(List<Activations> modes) {
        CaseList cases = new CaseList();
        ProductCases.add(cases, modes);
        AttentionInputCases.add(cases, modes);
        AttentionCases.add(cases, modes);
        RouteCases.add(cases, modes);
        ExpertCases.add(cases, modes);
        MoveCases.add(cases, modes);
        return cases;
    }
}
