package io.talaria.bench;

import java.util.List;
import java.util.Optional;

/**
 * The numbers of a model to be made up.
 *
 * @param vocabulary at least 512 tokens: bytes, markers and made-up words
 */
public record SyntheticShape(
        String name,
        int hidden,
        int layers,
        int heads,
        int kvHeads,
        int headDim,
        int ffn,
        int experts,
        int expertsUsed,
        int vocabulary,
        int context) {

    /** The shapes with a name. */
    public static final List<SyntheticShape> PRESETS = List.of(
            new SyntheticShape("mixtral-8x7b", 4096, 32, 32, 8, 128, 14336, 8, 2, 32002, 32768),
            new SyntheticShape("mixtral-8x22b", 6144, 56, 48, 8, 128, 16384, 8, 2, 32768, 65536),
            new SyntheticShape("nano", 256, 2, 4, 2, 64, 256, 8, 2, 512, 32768));

    public SyntheticShape {
        positive("hidden", hidden);
        positive("layers", layers);
        positive("heads", heads);
        positive("kv-heads", kvHeads);
        positive("head-dim", headDim);
        positive("ffn", ffn);
        positive("experts-used", expertsUsed);
        positive("context", context);
        require(heads % kvHeads == 0, "heads must be a multiple of kv-heads");
        require(headDim % 2 == 0, "head-dim must be even");
        require(experts >= expertsUsed && experts <= 512, "experts must be experts-used to 512");
        require(vocabulary >= 512 && vocabulary <= 1 << 20, "vocabulary must be 512 to " + (1 << 20));
    }

    private static void positive(String name, int value) {
        require(value > 0 && value <= 1 << 20, name + " must be 1 to " + (1 << 20));
    }

    private static void require(boolean ok, String message) {
        if (!ok) {
            throw new IllegalArgumentException(message);
        }
    }

    /** The shape with this name. */
    public static Optional<SyntheticShape> preset(String name) {
        return PRESETS.stream().filter(shape -> shape.name.equals(name)).findFirst();
    }

    /** The same with another number of layers. */
    public SyntheticShape withLayers(int count) {
        return new SyntheticShape(
                name, hidden, count, heads, kvHeads, headDim, ffn, experts, expertsUsed, vocabulary, context);
    }
}
