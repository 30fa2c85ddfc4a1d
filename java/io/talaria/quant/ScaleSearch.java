package io.talaria.quant;

/**
 * Finds the scale with which values are best written as scale * q, with whole numbers q from -half to half - 1.
 *
 * <p>Given the q, the best scale follows by weighted least squares; given a scale, each q is the nearest number. So a few
 * first scales are tried, at which the value of largest magnitude gets a q near -half, the side with one number more;
 * from the best of them both steps are repeated until nothing is gained. Holds numbers between calls: one per thread.
 */
final class ScaleSearch {
    /** What the value of largest magnitude divided by the first scale is, as a share of half. */
    private static final float[] STARTS = {1, 1.0625f, 0.9688f, 0.9375f, 0.9063f, 0.875f, 1.125f, 1.1875f, 1.25f};

    private static final int ROUNDS = 4;

    private final float[] values;
    private final float[] weights;
    private final int half;
    private double fit;

    /**
     * @param values to be written, filled by the caller before each call
     * @param weights of their squared errors, likewise
     */
    ScaleSearch(float[] values, float[] weights, int half) {
        this.values = values;
        this.weights = weights;
        this.half = half;
    }

    /** The best scale; of either sign, and 0 if all values are. */
    float find() {
        float peak = 0;
        for (float value : values) {
            peak = Math.abs(value) > Math.abs(peak) ? value : peak;
        }
        if (peak == 0) {
            return 0;
        }
        double best = -1;
        double scale = 0;
        for (float start : STARTS) {
            double gain = gain(-peak / (start * half));
            if (gain > best) {
                best = gain;
                scale = fit;
            }
        }
        for (int round = 0; round < ROUNDS; round++) {
            double gain = gain((float) scale);
            if (!(gain > best)) {
                break;
            }
            best = gain;
            scale = fit;
        }
        return (float) scale;
    }

    /** By how much the best scale for the q of this scale makes the squared error smaller; that scale is left in fit. */
    private double gain(float scale) {
        float inverse = 1 / scale;
        double valueByQ = 0;
        double qByQ = 0;
        for (int i = 0; i < values.length; i++) {
            int q = nearest(values[i] * inverse, half);
            double weighted = weights[i] * q;
            valueByQ += weighted * values[i];
            qByQ += weighted * q;
        }
        fit = qByQ > 0 ? valueByQ / qByQ : 0;
        return valueByQ * fit;
    }

    /** The nearest q. */
    static int nearest(float quotient, int half) {
        int q = (int) (quotient + (half + 0.5f)); // positive wherever it counts, so that the cast rounds down
        return Math.max(0, Math.min(2 * half - 1, q)) - half;
    }
}
