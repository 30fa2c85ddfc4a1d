package io.talaria.convert;

import io.talaria.quant.Quant;
import io.talaria.quant.TensorType;
import java.util.regex.Pattern;

/**
 * Another type than the recipe's for some tensors.
 *
 * @param pattern found anywhere in their names
 */
public record TypeOverride(Pattern pattern, TensorType type) {
    /**
     * Refuses a type that is not written.
     *
     * @throws IllegalArgumentException if it is one
     */
    public TypeOverride {
        if (!Quant.encodes(type)) {
            throw new IllegalArgumentException("Talaria does not write " + type);
        }
    }

    boolean matches(String name) {
        return pattern.matcher(name).find();
    }
}
