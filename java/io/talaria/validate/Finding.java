package io.talaria.validate;

/**
 * How far a part of a verb's results is from the reference.
 *
 * @param part which of the results
 * @param nmse of the worst row; infinite for what has no size, such as a wrong id
 * @param detail where the worst row is wrong; empty if it is not
 * @param nearTies places that were taken by another than the reference's choice, too near to it to tell them apart
 */
record Finding(String part, double nmse, double bound, String detail, int nearTies) {
    Finding(String part, double nmse, double bound, String detail) {
        this(part, nmse, bound, detail, 0);
    }

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
