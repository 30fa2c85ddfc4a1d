package io.talaria.bench;

import io.talaria.quant.TensorType;
import java.util.Locale;

/**
 * Which type each tensor of a quantised Mixtral has: what the common tools make of a model with 8 experts.
 *
 * <p>Q4_K_M is the recipe since January 2024: attention k and v in Q8_0, its output in Q5_K, the experts' down
 * projections in Q6_K in half of the layers, the output in Q6_K, everything else in Q4_K.
 */
public enum Recipe {
    Q4_K_M(TensorType.Q4_K),
    Q6_K(TensorType.Q6_K),
    Q8_0(TensorType.Q8_0),
    Q4_0(TensorType.Q4_0),
    F16(TensorType.F16),
    BF16(TensorType.BF16);

    private final TensorType base;

    Recipe(TensorType base) {
        this.base = base;
    }

    /** The recipe of this name in any case, or null. */
    public static Recipe of(String name) {
        for (Recipe recipe : values()) {
            if (recipe.name().equals(name.toUpperCase(Locale.ROOT))) {
                return recipe;
            }
        }
        return null;
    }

    TensorType embedding() {
        return base;
    }

    TensorType output() {
        return base == TensorType.Q4_K || base == TensorType.Q4_0 ? TensorType.Q6_K : base;
    }

    TensorType query() {
        return base;
    }

    TensorType keyAndValue() {
        return this == Q4_K_M || this == Q6_K ? TensorType.Q8_0 : base;
    }

    TensorType attentionOutput() {
        return this == Q4_K_M ? TensorType.Q5_K : base;
    }

    TensorType gateAndUp() {
        return base;
    }

    TensorType down(int layer, int layers) {
        return this == Q4_K_M && moreBits(layer, layers) ? TensorType.Q6_K : base;
    }

    /** The first and last eighth of the layers, and every third between. */
    private static boolean moreBits(int layer, int layers) {
        int eighth = layers / 8;
        return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
    }
}
