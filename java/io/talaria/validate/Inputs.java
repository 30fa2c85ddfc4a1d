package io.talaria.validate;

import io.talaria.backend.Activations;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Activations to compare with. Two correct devices differ in the last bits of a norm, and where a value then lies on the
 * boundary between two int8 codes, or two halves, they round it to different sides. So inputs are settled: moved, by less
 * than the rounding itself, to where it has one answer. Then all of a difference is the device's own.
 */
final class Inputs {
    private static final double OUTLIER = 8;
    private static final float PROBE = 0.1f;
    /** How near to a boundary, in int8 steps, a value may lie. */
    private static final double MARGIN = 0.02;

    private Inputs() {}

    /** Rows of random values, each with an outlier. */
    static float[] random(int rows, int columns, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        for (int row = 0; row < rows; row++) {
            values[row * columns + random.nextInt(columns)] = (float) (row % 2 == 0 ? OUTLIER : -OUTLIER);
        }
        return values;
    }

    /** Queries that read keys from a cache: small, as large scores would blow up the last bit of a key in F16. */
    static float[] probe(int rows, int columns) {
        float[] values = random(rows, columns, rows);
        for (int i = 0; i < values.length; i++) {
            values[i] *= PROBE;
        }
        return values;
    }

    /** Settles rows that meet a weight as they are. */
    static float[] settle(float[] x, int columns, Activations mode) {
        float[] ones = new float[columns];
        Arrays.fill(ones, 1);
        return settle(x, ones, 0, mode, false);
    }

    /** Settles rows that meet a weight after an RMS norm. */
    static float[] settle(float[] x, float[] norm, float epsilon, Activations mode) {
        return settle(x, norm, epsilon, mode, true);
    }

    private static float[] settle(float[] x, float[] norm, float epsilon, Activations mode, boolean normed) {
        float[] settled = x.clone();
        int columns = norm.length;
        for (int at = 0; at < x.length; at += columns) {
            if (mode == Activations.HALF) {
                settleHalves(settled, at, norm, normed ? scale(x, at, columns, epsilon) : 1);
            } else {
                for (int begin = 0; begin < columns; begin += mode.block()) {
                    settleCodes(settled, at, norm, begin, Math.min(columns, begin + mode.block()));
                }
            }
        }
        return settled;
    }

    private static double scale(float[] x, int at, int columns, float epsilon) {
        double squares = 0;
        for (int i = at; i < at + columns; i++) {
            squares += (double) x[i] * x[i];
        }
        return 1 / Math.sqrt(squares / columns + epsilon);
    }

    private static void settleHalves(float[] x, int at, float[] norm, double scale) {
        for (int i = 0; i < norm.length; i++) {
            double factor = scale * norm[i];
            float half = Float.float16ToFloat(Float.floatToFloat16((float) (x[at + i] * factor)));
            if (factor != 0 && Float.isFinite(half)) {
                x[at + i] = (float) (half / factor);
            }
        }
    }

    /** A block's codes depend on the ratios to its largest value alone, whatever the norm's scale is. */
    private static void settleCodes(float[] x, int at, float[] norm, int begin, int end) {
        double largest = 0;
        for (int i = begin; i < end; i++) {
            largest = Math.max(largest, Math.abs((double) x[at + i] * norm[i]));
        }
        for (int i = begin; i < end; i++) {
            double code = (double) x[at + i] * norm[i] * 127 / largest;
            double boundary = Math.floor(code) + 0.5;
            if (Math.abs(code - boundary) < MARGIN) {
                x[at + i] *= (float) ((boundary + (code < boundary ? -MARGIN : MARGIN)) / code);
            }
        }
    }
}
