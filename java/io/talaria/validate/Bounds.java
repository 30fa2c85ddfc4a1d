package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.quant.TensorType;

/** How far one verb may be from the reference in the same mode: normalised mean squared errors of one row. */
final class Bounds {
    /** What is kept in float32: norms, routing, sums. */
    static final double FLOAT32 = 1e-7;

    static final double HALF = 5e-7;
    static final double ATTENTION = 1e-6;
    static final double BF16 = 1e-5;

    private Bounds() {}

    /** Of a product with a weight of this type. A mode of int8 rounds what meets quantised weights, and nothing else. */
    static double product(TensorType weight, Activations mode) {
        if (weight == TensorType.BF16) {
            return BF16;
        }
        boolean half = mode == Activations.HALF || weight == TensorType.F16;
        return half ? HALF : FLOAT32;
    }

    /**
     * Of values within {@code bound} that are then rounded to int8 codes, as experts do between their products and a Q8_0
     * cache does. A relative error e moves that share of the values past the boundary to a neighbouring code that is e in
     * steps, and each of those is off by one step of about 1/32 of the values' root mean square.
     */
    static double rounded(double bound) {
        return bound + Math.sqrt(bound) / 32;
    }
}
