package io.talaria.validate;

import java.util.Locale;

/** Floats against floats. */
final class Compare {
    private Compare() {}

    /**
     * Rows of so many values; the worst row counts, so that a row of large values cannot hide a wrong small one.
     *
     * @param columns values per row
     */
    static Finding rows(String part, float[] computed, float[] expected, int columns, double bound) {
        return rows(part, computed, expected, new float[expected.length], columns, bound);
    }

    /**
     * The same of what was added to rows that were there before. The sum is rounded once, so a last bit of it is forgiven.
     *
     * @param before the rows before anything was added
     */
    static Finding added(String part, float[] computed, float[] expected, float[] before, int columns, double bound) {
        return rows(part, computed, expected, before, columns, bound);
    }

    private static Finding rows(
            String part, float[] computed, float[] expected, float[] before, int columns, double bound) {
        double worst = 0;
        int worstRow = 0;
        for (int row = 0; row < expected.length / columns; row++) {
            double error = nmse(computed, expected, before, row * columns, columns);
            if (error > worst) {
                worst = error;
                worstRow = row;
            }
        }
        String detail = worst <= bound ? "" : where(computed, expected, before, worstRow, columns);
        return new Finding(part, worst, bound, detail);
    }

    private static double nmse(float[] computed, float[] expected, float[] before, int at, int columns) {
        double error = 0;
        double power = 0;
        for (int i = at; i < at + columns; i++) {
            double difference = difference(computed[i], expected[i], before[i]);
            double change = (double) expected[i] - before[i];
            error += difference * difference;
            power += change * change;
        }
        if (error == 0) {
            return 0;
        }
        double result = error / power;
        return Double.isFinite(result) ? result : Double.POSITIVE_INFINITY;
    }

    /** NaN if either is. */
    private static double difference(float computed, float expected, float before) {
        double forgiven = before == 0 ? 0 : Math.ulp(Math.max(Math.abs(expected), Math.abs(before)));
        return Math.max(0, Math.abs((double) computed - expected) - forgiven);
    }

    private static String where(float[] computed, float[] expected, float[] before, int row, int columns) {
        int worst = row * columns;
        for (int i = row * columns; i < (row + 1) * columns; i++) {
            double difference = difference(computed[i], expected[i], before[i]);
            if (Double.isNaN(difference) || difference > difference(computed[worst], expected[worst], before[worst])) {
                worst = i;
                if (Double.isNaN(difference)) {
                    break;
                }
            }
        }
        return String.format(
                Locale.ROOT,
                "row %d, value %d is %.7g, expected %.7g",
                row,
                worst - row * columns,
                computed[worst],
                expected[worst]);
    }
}
