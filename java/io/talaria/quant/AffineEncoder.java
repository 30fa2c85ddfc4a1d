package io.talaria.quant;

/**
 * Encodes blocks of Q4_K and Q5_K: 8 sub-blocks of 32 values, each with a scale and a minimum of 6 bits.
 *
 * <p>Squared errors are weighted by the root mean square of the sub-block plus the value's magnitude, as is usual for
 * these formats: large weights matter more. Each sub-block's best scale and minimum are found first; their largest give
 * the block's two halves. Then, because six bits round them, neighbours of the rounded ones are tried in each sub-block,
 * and the halves are fitted once more to what was chosen. One per thread.
 */
final class AffineEncoder {
    private static final int SUBS = 8;
    private static final int SIZE = 32;
    private static final int LARGEST = 63;

    private final int top;
    private final float[] values = new float[SIZE];
    private final float[] weights = new float[SIZE];
    private final AffineSearch search;
    private final float[] wantedScale = new float[SUBS];
    private final float[] wantedMinimum = new float[SUBS];
    private final float[] rootMeanSquare = new float[SUBS];
    private float d;
    private float dmin;
    private final int[] scale = new int[SUBS];
    private final int[] minimum = new int[SUBS];
    private final byte[] quants = new byte[SUBS * SIZE];

    /** @param top the largest q: 15 for Q4_K, 31 for Q5_K */
    AffineEncoder(int top) {
        this.top = top;
        this.search = new AffineSearch(values, weights, top);
    }

    /** Finds the numbers of a block of 256 finite values, to be taken by {@link #put} and {@link #quant}. */
    void encode(float[] source, int at) {
        float largestScale = 0;
        float largestMinimum = 0;
        for (int s = 0; s < SUBS; s++) {
            rootMeanSquare[s] = rootMeanSquare(source, at + s * SIZE);
            load(source, at, s);
            search.find();
            wantedScale[s] = search.scale();
            wantedMinimum[s] = search.minimum();
            largestScale = Math.max(largestScale, wantedScale[s]);
            largestMinimum = Math.max(largestMinimum, wantedMinimum[s]);
        }
        d = Halves.unit(largestScale, LARGEST);
        dmin = Halves.unit(largestMinimum, LARGEST);
        double error = choose(source, at);
        float firstD = d;
        float firstDmin = dmin;
        refit(source, at);
        if (choose(source, at) > error) { // rounding the halves may cost more than fitting them gains
            d = firstD;
            dmin = firstDmin;
            choose(source, at);
        }
        for (int s = 0; s < SUBS; s++) {
            load(source, at, s);
            quantise(s);
        }
    }

    /** Writes the halves, and the scales and minimums of the sub-blocks, at the block's start. */
    void put(byte[] block, int at) {
        Halves.put(block, at, d);
        Halves.put(block, at + 2, dmin);
        for (int s = 0; s < SUBS; s++) {
            KScales.put(block, at + 4, s, scale[s], minimum[s]);
        }
    }

    /** The q of an element. */
    int quant(int sub, int element) {
        return quants[sub * SIZE + element];
    }

    private static float rootMeanSquare(float[] source, int at) {
        double sum = 0;
        for (int i = 0; i < SIZE; i++) {
            sum += (double) source[at + i] * source[at + i];
        }
        return (float) Math.sqrt(sum / SIZE);
    }

    private void load(float[] source, int at, int s) {
        System.arraycopy(source, at + s * SIZE, values, 0, SIZE);
        for (int i = 0; i < SIZE; i++) {
            weights[i] = rootMeanSquare[s] + Math.abs(values[i]);
        }
    }

    /** Chooses each sub-block's six bits among the neighbours of what it would like to have; returns the block's error. */
    private double choose(float[] source, int at) {
        double total = 0;
        for (int s = 0; s < SUBS; s++) {
            load(source, at, s);
            int nearScale = nearest(wantedScale[s], d);
            int nearMinimum = nearest(wantedMinimum[s], dmin);
            double best = Double.POSITIVE_INFINITY;
            for (int a = Math.max(0, nearScale - 1); a <= Math.min(LARGEST, nearScale + 1); a++) {
                for (int b = Math.max(0, nearMinimum - 1); b <= Math.min(LARGEST, nearMinimum + 1); b++) {
                    double error = error(d * a, dmin * b);
                    if (error < best) {
                        best = error;
                        scale[s] = a;
                        minimum[s] = b;
                    }
                }
            }
            total += best;
        }
        return total;
    }

    private static int nearest(float wanted, float unit) {
        return unit == 0 ? 0 : Math.min(LARGEST, Math.round(wanted / unit));
    }

    /** The weighted squared error of the loaded sub-block with this scale and minimum. */
    private double error(float factor, float offset) {
        float inverse = factor == 0 ? 0 : 1 / factor;
        double sum = 0;
        for (int i = 0; i < SIZE; i++) {
            int q = AffineSearch.nearest((values[i] + offset) * inverse, top);
            float difference = factor * q - offset - values[i];
            sum += weights[i] * difference * difference;
        }
        return sum;
    }

    private void quantise(int s) {
        float factor = d * scale[s];
        float offset = dmin * minimum[s];
        float inverse = factor == 0 ? 0 : 1 / factor;
        for (int i = 0; i < SIZE; i++) {
            quants[s * SIZE + i] = (byte) AffineSearch.nearest((values[i] + offset) * inverse, top);
        }
    }

    /** The two halves that fit the chosen six bits and their q best, by weighted least squares over the block. */
    private void refit(float[] source, int at) {
        double aa = 0;
        double ab = 0;
        double bb = 0;
        double ax = 0;
        double bx = 0;
        for (int s = 0; s < SUBS; s++) {
            load(source, at, s);
            quantise(s);
            for (int i = 0; i < SIZE; i++) { // value = d * a - dmin * b
                double a = scale[s] * quants[s * SIZE + i];
                double b = -minimum[s];
                double w = weights[i];
                aa += w * a * a;
                ab += w * a * b;
                bb += w * b * b;
                ax += w * a * values[i];
                bx += w * b * values[i];
            }
        }
        double determinant = aa * bb - ab * ab;
        if (bb == 0 && aa > 0) {
            d = Halves.round((float) (ax / aa));
        } else if (determinant > 1e-9 * aa * bb) {
            d = Halves.round((float) Math.max(0, (ax * bb - bx * ab) / determinant));
            dmin = Halves.round((float) Math.max(0, (bx * aa - ax * ab) / determinant));
        }
    }
}
