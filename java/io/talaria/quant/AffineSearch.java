package io.talaria.quant;

/**
 * Finds the scale and the minimum with which values are best written as scale * q - minimum, with whole numbers q from 0
 * to a top and no negative minimum.
 *
 * <p>Given the q, both follow by weighted least squares; given both, each q is the nearest number. So a few first scales
 * and minimums are tried, which make the values' range a little wider or narrower than all q, at either end; from the
 * best of them both steps are repeated until nothing is gained. Holds numbers between calls: one per thread.
 */
final class AffineSearch {
    /** By how much the range, in steps of the first scale, exceeds the top, and how much of that is below the first q. */
    private static final float[][] STARTS = {
        {0, 0},
        {-1, 0},
        {0.5f, 0.25f},
        {0.4f, 0},
        {0.4f, 0.4f},
        {-1.5f, -0.75f},
        {-0.5f, 0},
        {-0.5f, -0.5f},
        {0.9f, 0.7f}
    };

    private static final int ROUNDS = 4;

    private final float[] values;
    private final float[] weights;
    private final int top;
    private double weightSum;
    private double valueSum;
    private double squareSum;
    private double fitScale;
    private double fitOffset;
    private float scale;
    private float minimum;

    /**
     * @param values to be written, filled by the caller before each call
     * @param weights of their squared errors, likewise
     */
    AffineSearch(float[] values, float[] weights, int top) {
        this.values = values;
        this.weights = weights;
        this.top = top;
    }

    /** The best scale, not negative. */
    float scale() {
        return scale;
    }

    /** The best minimum, not negative. */
    float minimum() {
        return minimum;
    }

    /** Finds both. */
    void find() {
        float low = 0;
        float high = values[0];
        weightSum = 0;
        valueSum = 0;
        squareSum = 0;
        for (int i = 0; i < values.length; i++) {
            low = Math.min(low, values[i]);
            high = Math.max(high, values[i]);
            double weighted = weights[i] * values[i];
            weightSum += weights[i];
            valueSum += weighted;
            squareSum += weighted * values[i];
        }
        scale = 0;
        minimum = -low;
        if (!(high > low)) {
            return;
        }
        double best = Double.POSITIVE_INFINITY;
        for (float[] start : STARTS) {
            float step = (high - low) / (top + start[0]);
            best = tryOut(step, -low - start[1] * step, best);
        }
        for (int round = 0; round < ROUNDS; round++) {
            double error = tryOut(scale, minimum, best);
            if (!(error < best)) {
                break;
            }
            best = error;
        }
    }

    /** Takes what fits the q of these two best, if its squared error is below the best so far; returns the lower one. */
    private double tryOut(float firstScale, float firstMinimum, double best) {
        double error = fit(firstScale, firstMinimum);
        if (!(error < best)) {
            return best;
        }
        scale = (float) fitScale;
        minimum = (float) -fitOffset;
        return error;
    }

    private double fit(float firstScale, float firstMinimum) {
        float inverse = 1 / firstScale;
        double qSum = 0;
        double qByQ = 0;
        double valueByQ = 0;
        for (int i = 0; i < values.length; i++) {
            int q = nearest((values[i] + firstMinimum) * inverse, top);
            double weighted = weights[i] * q;
            qSum += weighted;
            qByQ += weighted * q;
            valueByQ += weighted * values[i];
        }
        double determinant = weightSum * qByQ - qSum * qSum;
        fitScale = 0;
        fitOffset = 0;
        if (determinant > 0) {
            fitScale = (weightSum * valueByQ - valueSum * qSum) / determinant;
            fitOffset = (qByQ * valueSum - qSum * valueByQ) / determinant;
        }
        if (fitOffset > 0 || determinant <= 0) { // the minimum must not be negative
            fitOffset = 0;
            fitScale = qByQ > 0 ? valueByQ / qByQ : 0;
        }
        return squareSum
                + fitScale * (fitScale * qByQ + 2 * fitOffset * qSum - 2 * valueByQ)
                + fitOffset * (fitOffset * weightSum - 2 * valueSum);
    }

    /** The nearest q. */
    static int nearest(float quotient, int top) {
        return Math.max(0, Math.min(top, (int) (quotient + 0.5f)));
    }
}
