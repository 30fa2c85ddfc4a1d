package io.talaria.validate;

import java.util.Locale;

/**
 * Routing rows, each a list of (id, weight) pairs. The reference routes to all experts, so that the logits of every one
 * are known up to a constant: they are the logarithms of its weights. Two whose logits are nearer than the error that the
 * bound allows may change places; those whose logits are equal may not.
 */
final class CompareRouting {
    private final int[] computed;
    private final int used;
    private final int experts;
    private final double bound;
    private int nearTies;

    private CompareRouting(int[] computed, int used, int experts, double bound) {
        this.computed = computed;
        this.used = used;
        this.experts = experts;
        this.bound = bound;
    }

    /**
     * @param computed {@code [R][2 * K]}
     * @param expected {@code [R][2 * E]}
     */
    static Finding rows(int[] computed, int[] expected, int used, int experts, double bound) {
        return new CompareRouting(computed, used, experts, bound).rows(expected);
    }

    /**
     * The first {@code used} pairs of each row, with weights that add up to 1.
     *
     * @param routing {@code [R][2 * E]}, or {@code [R][2 * K]} already
     */
    static int[] best(int[] routing, int rows, int used) {
        int listed = routing.length / rows / 2;
        int[] best = new int[rows * 2 * used];
        for (int row = 0; row < rows; row++) {
            double total = 0;
            for (int k = 0; k < used; k++) {
                total += Float.intBitsToFloat(routing[row * 2 * listed + listed + k]);
            }
            for (int k = 0; k < used; k++) {
                int at = row * 2 * listed + k;
                best[row * 2 * used + k] = routing[at];
                float weight = Float.intBitsToFloat(routing[at + listed]);
                best[row * 2 * used + used + k] =
                        Float.floatToRawIntBits(listed == used ? weight : (float) (weight / total));
            }
        }
        return best;
    }

    private Finding rows(int[] expected) {
        double worst = 0;
        String detail = "";
        for (int row = 0; row < computed.length / (2 * used); row++) {
            String wrong = wrongIds(row, expected);
            if (!wrong.isEmpty()) {
                return Finding.wrong("pairs", bound, wrong);
            }
            double error = weightError(row, expected);
            if (error > worst) {
                worst = error;
                detail = error > bound ? "row " + row + ", the weights are off" : "";
            }
        }
        return new Finding("pairs", worst, bound, detail, nearTies);
    }

    /** Empty if the ids of a row are those of the reference, but for those whose margin is too small to decide. */
    private String wrongIds(int row, int[] expected) {
        boolean[] taken = new boolean[experts];
        for (int k = 0; k < used; k++) {
            int id = computed[row * 2 * used + k];
            int right = expected[row * 2 * experts + k];
            if (id < 0 || id >= experts || taken[id]) {
                return "row " + row + ", expert " + k + " is " + id + (id < 0 || id >= experts ? "" : " again");
            }
            taken[id] = true;
            for (int lower = 0; lower < id; lower++) {
                if (!taken[lower] && logit(row, lower, expected) == logit(row, id, expected)) {
                    return "row " + row + ", expert " + k + " of two that tie is " + id + ", expected " + lower;
                }
            }
            double margin = Math.abs(logit(row, id, expected) - logit(row, right, expected));
            if (id != right && !(margin <= Math.sqrt(bound) * spread(row, expected))) {
                return String.format(
                        Locale.ROOT,
                        "row %d, expert %d is %d, expected %d by a margin of %.3g",
                        row,
                        k,
                        id,
                        right,
                        margin);
            }
            nearTies += id == right ? 0 : 1;
        }
        return "";
    }

    /** The logarithm of the reference's weight of an expert. */
    private double logit(int row, int id, int[] expected) {
        int at = row * 2 * experts;
        for (int k = 0; k < experts; k++) {
            if (expected[at + k] == id) {
                return Math.log(Float.intBitsToFloat(expected[at + experts + k]));
            }
        }
        throw new IllegalStateException("the reference names no expert " + id);
    }

    private double spread(int row, int[] expected) {
        int at = row * 2 * experts;
        double widest = logit(row, expected[at], expected) - logit(row, expected[at + experts - 1], expected);
        return Double.isFinite(widest) ? Math.max(1, widest) : 100;
    }

    /** Of the weights, against the softmax over the experts that the device chose. */
    private double weightError(int row, int[] expected) {
        int at = row * 2 * used;
        double total = 0;
        for (int k = 0; k < used; k++) {
            total += Math.exp(logit(row, computed[at + k], expected));
        }
        double error = 0;
        double power = 0;
        for (int k = 0; k < used; k++) {
            double right = Math.exp(logit(row, computed[at + k], expected)) / total;
            double difference = Float.intBitsToFloat(computed[at + used + k]) - right;
            error += difference * difference;
            power += right * right;
        }
        double result = error / power;
        return Double.isFinite(result) ? result : Double.POSITIVE_INFINITY;
    }
}
