package io.talaria.model;

/** The names of a Mixtral model's tensors in GGUF files, in both layouts of the experts. */
final class WeightNames {
    static final String EMBEDDING = "token_embd.weight";
    static final String OUTPUT_NORM = "output_norm.weight";
    static final String OUTPUT = "output.weight";
    static final String ATTENTION_NORM = "attn_norm";
    static final String QUERY = "attn_q";
    static final String KEY = "attn_k";
    static final String VALUE = "attn_v";
    static final String ATTENTION_OUTPUT = "attn_output";
    static final String FFN_NORM = "ffn_norm";
    static final String ROUTER = "ffn_gate_inp";
    static final String GATE = "ffn_gate";
    static final String UP = "ffn_up";
    static final String DOWN = "ffn_down";

    private WeightNames() {}

    /** A tensor of a layer. */
    static String of(int layer, String name) {
        return "blk." + layer + "." + name + ".weight";
    }

    /** All experts of a layer in one tensor: files made since April 2024. */
    static String stacked(int layer, String name) {
        return of(layer, name + "_exps");
    }

    /** One expert of a layer: files made before. */
    static String ofExpert(int layer, String name, int expert) {
        return of(layer, name + "." + expert);
    }
}
