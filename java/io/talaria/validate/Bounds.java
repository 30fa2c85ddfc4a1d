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

    /** Of what attention reads from a cache that was filled by products with weights of these types. */
    static double cache(TensorType key, TensorType value, TensorType kv, Activations mode) {
        double kept = Math.max(product(key, mode), product(value, mode));
        return Math.max(ATTENTION, kv == TensorType.Q8_0 ? rounded(kept) : kept);
    }

    /** Of experts with weights of these types: what is between the products is rounded to int8 before a quantised down. */
    static double experts(TensorType gate, TensorType up, TensorType down, Activations mode) {
        double products = Math.max(product(gate, mode), product(up, mode));
        double all = Math.max(products, product(down, mode));
        return mode != Activations.HALF && down.quantised() ? rounded(all) : all;
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
