package io.talaria.convert;

import io.talaria.gguf.Printable;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import java.util.List;
import java.util.function.Consumer;

/**
 * Which type a tensor is written in: F32 for norms and routers; else that of the last override whose pattern
 * its name has, else that of the recipe; and where its rows do not fill blocks of that type, the next larger type whose blocks they fill.
 */
final class TypeChoice {
    private final Recipe recipe;
    private final List<TypeOverride> overrides;
    private final int layers;
    private final Consumer<String> notes;

    /**
     * @param layers how many the model has
     * @param notes hears of every tensor that gets another type than was asked for
     */
    TypeChoice(Recipe recipe, List<TypeOverride> overrides, int layers, Consumer<String> notes) {
        this.recipe = recipe;
        this.overrides = List.copyOf(overrides);
        this.layers = layers;
        this.notes = notes;
    }

    /** The type for a tensor of a Mixtral with rows of so many columns. */
    TensorType of(String name, long columns) {
        TensorType wanted = recipe.type(name, layers).orElseThrow();
        if (Recipe.alwaysF32(name)) {
            return wanted;
        }
        for (TypeOverride override : overrides) {
            if (override.matches(name)) {
                wanted = override.type();
            }
        }
        TensorType type = wanted;
        while (columns % type.blockElements() != 0) {
            type = type.blockElements() > TensorType.Q8_0.blockElements() ? TensorType.Q8_0 : TensorType.F16;
        }
        if (type != wanted) {
            notes.accept(Printable.name(name) + " is written in " + type + ", because its rows of " + columns
                    + " values do not fill " + wanted + " blocks of " + wanted.blockElements());
        }
        return type;
    }

    /**
     * Refuses overrides that would change nothing.
     *
     * @throws IllegalArgumentException if one matches none of these names
     */
    void check(List<String> names) {
        for (TypeOverride override : overrides) {
            if (names.stream().noneMatch(name -> override.matches(name) && !Recipe.alwaysF32(name))) {
                throw new IllegalArgumentException("no tensor that could have another type has "
                        + Printable.name(override.pattern().pattern()) + " in its name");
            }
        }
    }
}
