package io.talaria.validate;

/**
 * How far a part of a verb's results is from the reference.
 *
 * @param part which of the results
 * @param nmse of the worst row; infinite for what has no size, such as a wrong id
 * @param detail where the worst row is wrong, or what was forgiven
 */
record Finding(String part, double nmse, double bound, String detail) {
    boolean ok() {
        return nmse <= bound;
    }

    /** The same with a word on what else may be behind it, if it is not in order. */
    Finding suspecting(String other) {
        return ok() ? this : new Finding(part, nmse, bound, detail + "; " + other);
    }

    static Finding wrong(String part, double bound, String detail) {
        return new Finding(part, Double.POSITIVE_INFINITY, bound, detail);
    }
}
