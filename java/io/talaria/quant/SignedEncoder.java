package io.talaria.quant;

/**
 * Encodes blocks of Q6_K: 16 sub-blocks of 16 values, each with a signed scale of 8 bits.
 *
 * <p>Squared errors are weighted by the value's square, as is usual for this format. Each sub-block's best scale is found
 * first; the largest gives the block's half. Then, because eight bits round the others, neighbours of the rounded one are
 * tried in each sub-block. One per thread.
 */
final class SignedEncoder {
    private static final int SUBS = 16;
    private static final int SIZE = 16;
    private static final int HALF = 32;

    private final float[] values = new float[SIZE];
    private final float[] weights = new float[SIZE];
    private final ScaleSearch search = new ScaleSearch(values, weights, HALF);
    private final float[] wanted = new float[SUBS];
    private float d;
    private final int[] scale = new int[SUBS];
    private final byte[] quants = new byte[SUBS * SIZE];

    /** Finds the numbers of a block of 256 finite values. */
    void encode(float[] source, int at) {
        float largest = 0;
        for (int s = 0; s < SUBS; s++) {
            load(source, at, s);
            wanted[s] = search.find();
            largest = Math.abs(wanted[s]) > Math.abs(largest) ? wanted[s] : largest;
        }
        d = Halves.unit(largest, Byte.MIN_VALUE); // the side with one number more
        for (int s = 0; s < SUBS; s++) {
            load(source, at, s);
            scale[s] = choose(s);
            quantise(s);
        }
    }

    /** The block's half. */
    float d() {
        return d;
    }

    /** The scale of a sub-block. */
    int scale(int sub) {
        return scale[sub];
    }

    /** The q of an element, from -32 to 31. */
    int quant(int sub, int element) {
        return quants[sub * SIZE + element];
    }

    private void load(float[] source, int at, int s) {
        System.arraycopy(source, at + s * SIZE, values, 0, SIZE);
        for (int i = 0; i < SIZE; i++) {
            weights[i] = values[i] * values[i];
        }
    }

    private int choose(int s) {
        int near = d == 0 ? 0 : Math.round(wanted[s] / d);
        double best = Double.POSITIVE_INFINITY;
        int chosen = 0;
        for (int candidate = near - 1; candidate <= near + 1; candidate++) {
            int kept = Math.max(Byte.MIN_VALUE, Math.min(Byte.MAX_VALUE, candidate));
            double error = error(d * kept);
            if (error < best) {
                best = error;
                chosen = kept;
            }
        }
        return chosen;
    }

    /** The weighted squared error of the loaded sub-block with this scale. */
    private double error(float factor) {
        float inverse = factor == 0 ? 0 : 1 / factor;
        double sum = 0;
        for (int i = 0; i < SIZE; i++) {
            float difference = factor * ScaleSearch.nearest(values[i] * inverse, HALF) - values[i];
            sum += weights[i] * difference * difference;
        }
        return sum;
    }

    private void quantise(int s) {
        float factor = d * scale[s];
        float inverse = factor == 0 ? 0 : 1 / factor;
        for (int i = 0; i < SIZE; i++) {
            quants[s * SIZE + i] = (byte) ScaleSearch.nearest(values[i] * inverse, HALF);
        }
    }
}
