package io.talaria.validate;

/**
 * One result of a verb, compared.
 *
 * @param verb as {@link io.talaria.backend.DecoderOps} names it
 * @param group what is summed up in one line: verb and mode
 * @param name what tells this check from all others
 * @param nmse the normalised mean squared error of the worst row; infinite if a number is not finite, or an id is wrong
 * @param bound the largest that passes
 * @param detail what is wrong; empty if nothing is
 * @param nearTies experts or tokens in a place where the reference has another, which the bound does not tell apart
 */
public record Check(
        String verb,
        String group,
        String name,
        double nmse,
        double bound,
        Outcome outcome,
        String detail,
        int nearTies) {
    /** How a check ended. */
    public enum Outcome {
        PASSED,
        FAILED,
        /** The device says that it does not compute this. */
        UNSUPPORTED
    }

    /** The same with more to say. */
    Check explained(String more) {
        return new Check(verb, group, name, nmse, bound, outcome, detail + "; " + more, nearTies);
    }

    public boolean ok() {
        return outcome == Outcome.PASSED;
    }
}
