package io.talaria.quant;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Which type each tensor of a Mixtral has: what the common tools make of a model with 8 experts.
 *
 * <p>Q4_K_M is the recipe since January 2024: attention k and v in Q8_0, its output in Q5_K, the experts' down
 * projections in Q6_K in half of the layers, the output in Q6_K, everything else in Q4_K. Q5_K_M is the same with Q5_K in
 * place of Q4_K. Norms and routers are F32 in every recipe.
 */
public enum Recipe {
    Q4_K_M(TensorType.Q4_K, 15),
    Q5_K_M(TensorType.Q5_K, 17),
    Q6_K(TensorType.Q6_K, 18),
    Q8_0(TensorType.Q8_0, 7),
    Q4_0(TensorType.Q4_0, 2),
    F16(TensorType.F16, 1),
    BF16(TensorType.BF16, 32),
    F32(TensorType.F32, 0);

    private static final Pattern IN_LAYER = Pattern.compile("blk\\.(\\d{1,6})\\.([a-z_]+)(?:\\.\\d+)?\\.weight");

    private final TensorType base;
    private final int fileType;

    Recipe(TensorType base, int fileType) {
        this.base = base;
        this.fileType = fileType;
    }

    /** The recipe of this name in any case, or null; Q4_K and Q5_K are short for Q4_K_M and Q5_K_M, as elsewhere. */
    public static Recipe of(String name) {
        String wanted = name.toUpperCase(Locale.ROOT);
        for (Recipe recipe : values()) {
            if (recipe.name().equals(wanted) || recipe.name().equals(wanted + "_M")) {
                return recipe;
            }
        }
        return null;
    }

    /** All names, for a sentence. */
    public static String names() {
        return Arrays.stream(values()).map(Enum::name).collect(Collectors.joining(", "));
    }

    /** The type that most of the weights have. */
    public TensorType base() {
        return base;
    }

    /** The recipe's number in the key {@code general.file_type}. */
    public int fileType() {
        return fileType;
    }

    /**
     * The type of a tensor by its name in GGUF files, in either layout of the experts; nothing for a tensor that is no
     * part of a Mixtral.
     *
     * @param layers how many layers the model has
     */
    public Optional<TensorType> type(String name, int layers) {
        if (name.equals("token_embd.weight")) {
            return Optional.of(embedding());
        }
        if (name.equals("output.weight")) {
            return Optional.of(output());
        }
        if (alwaysF32(name)) {
            return Optional.of(TensorType.F32);
        }
        Matcher inLayer = IN_LAYER.matcher(name);
        if (!inLayer.matches()) {
            return Optional.empty();
        }
        return Optional.ofNullable(
                switch (inLayer.group(2)) {
                    case "attn_q" -> query();
                    case "attn_k", "attn_v" -> keyAndValue();
                    case "attn_output" -> attentionOutput();
                    case "ffn_gate", "ffn_up", "ffn_gate_exps", "ffn_up_exps" -> gateAndUp();
                    case "ffn_down", "ffn_down_exps" -> down(Integer.parseInt(inLayer.group(1)), layers);
                    default -> null;
                });
    }

    /** True for norms and routers, which are small, and which every recipe and device has in F32. */
    public static boolean alwaysF32(String name) {
        return name.endsWith("norm.weight") || name.endsWith("ffn_gate_inp.weight");
    }

    public TensorType embedding() {
        return base;
    }

    public TensorType output() {
        return base.quantised() && base != TensorType.Q8_0 ? TensorType.Q6_K : base;
    }

    public TensorType query() {
        return base;
    }

    public TensorType keyAndValue() {
        return base.quantised() ? TensorType.Q8_0 : base;
    }

    public TensorType attentionOutput() {
        return this == Q4_K_M ? TensorType.Q5_K : base;
    }

    public TensorType gateAndUp() {
        return base;
    }

    public TensorType down(int layer, int layers) {
        boolean mixed = this == Q4_K_M || this == Q5_K_M;
        return mixed && moreBits(layer, layers) ? TensorType.Q6_K : base;
    }

    /** The first and last eighth of the layers, and every third between. */
    private static boolean moreBits(int layer, int layers) {
        int eighth = layers / 8;
        return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
    }
}
