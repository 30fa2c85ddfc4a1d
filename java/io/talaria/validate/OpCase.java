package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.DeviceException;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * One verb with one set of inputs: the same body runs on both devices, and the results are compared.
 *
 * @param group what a table sums up in one line
 * @param name tells the case from all others
 */
record OpCase<T>(String verb, String group, String name, Activations mode, Body<T> body, Judge<T> judge) {
    /** What runs on a device. */
    interface Body<T> {
        T run(Verbs verbs) throws IOException;
    }

    /** What compares the results. */
    interface Judge<T> {
        List<Finding> findings(T computed, T expected);
    }

    /**
     * What a run came to.
     *
     * @param computed the device's result, if it has one
     * @param value the device's result if all checks passed, else the reference's, so that one fault is not blamed on what
     *     comes after it
     */
    record Result<T>(List<Check> checks, Optional<T> computed, T value) {
        boolean unsupported() {
            return checks.stream().anyMatch(check -> check.outcome() == Check.Outcome.UNSUPPORTED);
        }
    }

    /**
     * A case with inputs that are made up.
     *
     * @param subject the format, or what else matters most
     * @param shape tells the case from others of the same verb, subject and mode
     */
    static <T> OpCase<T> of(String verb, String subject, String shape, Activations mode, Body<T> body, Judge<T> judge) {
        String modeName = modeName(mode);
        return new OpCase<>(
                verb, verb + ", " + modeName, verb + " " + subject + " " + modeName + ", " + shape, mode, body, judge);
    }

    static String modeName(Activations mode) {
        return mode == Activations.HALF ? "half" : "int8";
    }

    Result<T> run(Rig reference, Rig device) throws IOException {
        T expected = runOn(reference, true);
        try {
            T computed = runOn(device, false);
            List<Check> checks =
                    judge.findings(computed, expected).stream().map(this::check).toList();
            return new Result<>(
                    checks, Optional.of(computed), checks.stream().allMatch(Check::ok) ? computed : expected);
        } catch (VerbFault e) {
            return new Result<>(List.of(whole(Check.Outcome.FAILED, e.getMessage())), Optional.empty(), expected);
        } catch (DeviceException e) {
            Check check = switch (e.kind()) {
                case UNSUPPORTED -> whole(Check.Outcome.UNSUPPORTED, e.getMessage());
                case INVALID -> whole(Check.Outcome.FAILED, "refused: " + e.getMessage());
                case OUT_OF_MEMORY, LOST -> throw e;
            };
            return new Result<>(List.of(check), Optional.empty(), expected);
        }
    }

    private T runOn(Rig rig, boolean reference) throws IOException {
        try {
            return body.run(new Verbs(rig, mode, reference));
        } finally {
            rig.clear();
        }
    }

    private Check whole(Check.Outcome outcome, String detail) {
        return new Check(verb, group, name, Double.POSITIVE_INFINITY, 0, outcome, detail, 0);
    }

    private Check check(Finding finding) {
        return new Check(
                verb,
                group,
                name + ": " + finding.part(),
                finding.nmse(),
                finding.bound(),
                finding.ok() ? Check.Outcome.PASSED : Check.Outcome.FAILED,
                finding.detail(),
                finding.nearTies());
    }
}
