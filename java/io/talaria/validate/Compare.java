package io.talaria.validate;

import java.util.Locale;
import java.util.function.IntFunction;

/** Floats against floats, row by row: the worst row counts, so that large values cannot hide a wrong small one. */
final class Compare {
    private final float[] computed;
    private final float[] expected;
    private final float[] before;
    private final float[] forgiven;
    private final int columns;
    private final IntFunction<String> rowName;

    private Compare(
            float[] computed,
            float[] expected,
            float[] before,
            float[] forgiven,
            int columns,
            IntFunction<String> rowName) {
        this.computed = computed;
        this.expected = expected;
        this.before = before;
        this.forgiven = forgiven;
        this.columns = columns;
        this.rowName = rowName;
    }

    /** @param columns values per row */
    static Finding rows(String part, float[] computed, float[] expected, int columns, double bound) {
        float[] none = new float[expected.length];
        return new Compare(computed, expected, none, none, columns, row -> "row " + row).finding(part, bound);
    }

    /** Slots {@code [R][K][H]}; a failure names the expert. */
    static Finding slots(String part, float[] computed, float[] expected, int[] routing, int used, double bound) {
        float[] none = new float[expected.length];
        int columns = expected.length / (routing.length / 2);
        IntFunction<String> name = slot -> "row " + slot / used + ", slot " + slot % used + " of expert "
                + routing[slot / used * 2 * used + slot % used];
        return new Compare(computed, expected, none, none, columns, name).finding(part, bound);
    }

    /**
     * The same of what was added to rows that were there before. Each addition rounds to a bit of the sum, which may be
     * large against what was added, so that bit is forgiven.
     *
     * @param before the rows before anything was added
     * @param additions how many were made to each
     */
    static Finding added(
            String part, float[] computed, float[] expected, float[] before, int additions, int columns, double bound) {
        float[] forgiven = new float[before.length];
        for (int i = 0; i < before.length; i++) {
            forgiven[i] = additions * Math.ulp(Math.max(Math.abs(expected[i]), Math.abs(before[i])));
        }
        return new Compare(computed, expected, before, forgiven, columns, row -> "row " + row).finding(part, bound);
    }

    /** The row with the largest error. */
    static int worstRow(float[] computed, float[] expected, int columns) {
        float[] none = new float[expected.length];
        return new Compare(computed, expected, none, none, columns, row -> "").worstRow();
    }

    private Finding finding(String part, double bound) {
        int row = worstRow();
        double error = nmse(row);
        return new Finding(part, error, bound, error <= bound ? "" : where(row));
    }

    private int worstRow() {
        double worst = 0;
        int worstRow = 0;
        for (int row = 0; row < expected.length / columns; row++) {
            double error = nmse(row);
            if (error > worst) {
                worst = error;
                worstRow = row;
            }
        }
        return worstRow;
    }

    /** Infinite if a value is not finite. */
    private double nmse(int row) {
        double error = 0;
        double power = 0;
        for (int i = row * columns; i < (row + 1) * columns; i++) {
            double change = (double) expected[i] - before[i];
            error += difference(i) * difference(i);
            power += change * change;
        }
        if (error == 0) {
            return 0;
        }
        double result = error / power;
        return Double.isFinite(result) ? result : Double.POSITIVE_INFINITY;
    }

    private double difference(int i) {
        double difference = Math.max(0, Math.abs((double) computed[i] - expected[i]) - forgiven[i]);
        return Double.isNaN(difference) ? Double.POSITIVE_INFINITY : difference;
    }

    private String where(int row) {
        int worst = row * columns;
        for (int i = row * columns; i < (row + 1) * columns; i++) {
            worst = difference(i) > difference(worst) ? i : worst;
        }
        return String.format(
                Locale.ROOT,
                "%s, value %d is %.7g, expected %.7g",
                rowName.apply(row),
                worst - row * columns,
                computed[worst],
                expected[worst]);
    }
}
