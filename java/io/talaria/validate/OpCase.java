package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import java.io.IOException;
import java.util.List;

/**
 * One verb with one set of inputs: the same body runs on both devices, and the results are compared.
 *
 * @param subject the format, or what else matters most
 * @param shape tells the case from others of the same verb, subject and mode
 */
record OpCase<T>(String verb, String subject, String shape, Activations mode, Body<T> body, Judge<T> judge) {
    /** What runs on a device. */
    interface Body<T> {
        T run(Verbs verbs) throws IOException;
    }

    /** What compares the results. */
    interface Judge<T> {
        List<Finding> findings(T computed, T expected);
    }

    String group() {
        return verb + ", " + modeName(mode);
    }

    static String modeName(Activations mode) {
        return mode == Activations.HALF ? "half" : "int8";
    }

    String name() {
        return verb + " " + subject + " " + modeName(mode) + ", " + shape;
    }

    @Override
    public String toString() {
        return name();
    }

    List<Check> run(Device reference, Device device) throws IOException {
        T computed;
        try (Rig rig = new Rig(device)) {
            computed = body.run(new Verbs(rig, mode));
        } catch (VerbFault e) {
            return List.of(whole(Check.Outcome.FAILED, e.getMessage()));
        } catch (DeviceException e) {
            return List.of(
                    switch (e.kind()) {
                        case UNSUPPORTED -> whole(Check.Outcome.UNSUPPORTED, e.getMessage());
                        case INVALID -> whole(Check.Outcome.FAILED, "refused: " + e.getMessage());
                        default -> throw e;
                    });
        }
        try (Rig rig = new Rig(reference)) {
            T expected = body.run(new Verbs(rig, mode));
            return judge.findings(computed, expected).stream().map(this::check).toList();
        }
    }

    private Check whole(Check.Outcome outcome, String detail) {
        return new Check(verb, group(), name(), Double.POSITIVE_INFINITY, 0, outcome, detail);
    }

    private Check check(Finding finding) {
        return new Check(
                verb,
                group(),
                name() + ": " + finding.part(),
                finding.nmse(),
                finding.bound(),
                finding.ok() ? Check.Outcome.PASSED : Check.Outcome.FAILED,
                finding.detail());
    }
}
