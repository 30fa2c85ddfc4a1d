package io.talaria.quant;

import java.util.Arrays;

/** Encodes blocks of Q4_0 with the scale of the least squared error, all values alike. One per thread. */
final class Q4_0Encoder {
    private static final int SIZE = 32;
    private static final int HALF = 8;

    private final float[] values = new float[SIZE];
    private final float[] weights = new float[SIZE];
    private final ScaleSearch search = new ScaleSearch(values, weights, HALF);
    private final byte[] quants = new byte[SIZE];

    Q4_0Encoder() {
        Arrays.fill(weights, 1);
    }

    /** Finds the scale and the numbers of a block of 32 finite values. */
    float encode(float[] source, int at) {
        System.arraycopy(source, at, values, 0, SIZE);
        float d = Halves.round(search.find());
        float inverse = d == 0 ? 0 : 1 / d;
        for (int i = 0; i < SIZE; i++) {
            quants[i] = (byte) ScaleSearch.nearest(values[i] * inverse, HALF);
        }
        return d;
    }

    /** The q of an element, from -8 to 7. */
    int quant(int element) {
        return quants[element];
    }
}
