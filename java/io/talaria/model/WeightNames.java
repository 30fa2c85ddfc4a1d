package io.talaria.model;

/** The names of a Mixtral model's tensors in GGUF files, in both layouts of the experts. */
public final class WeightNames {
    public static final String EMBEDDING = "token_embd.weight";
    public static final String OUTPUT_NORM = "output_norm.weight";
    public static final String OUTPUT = "output.weight";
    public static final String ATTENTION_NORM = "attn_norm";
    public static final String QUERY = "attn_q";
    public static final String KEY = "attn_k";
    public static final String VALUE = "attn_v";
    public static final String ATTENTION_OUTPUT = "attn_output";
    public static final String FFN_NORM = "ffn_norm";
    public static final String ROUTER = "ffn_gate_inp";
    public static final String GATE = "ffn_gate";
    public static final String UP = "ffn_up";
    public static final String DOWN = "ffn_down";

    private WeightNames() {}

    /** A tensor of a layer. */
    public static String of(int layer, String name) {
        return "blk." + layer + "." + name + ".weight";
    }

    /** All experts of a layer in one tensor: files made since April 2024. */
    public static String stacked(int layer, String name) {
        return of(layer, name + "_exps");
    }

    /** One expert of a layer: files made before. */
    public static String ofExpert(int layer, String name, int expert) {
        return of(layer, name + "." + expert);
    }
}
