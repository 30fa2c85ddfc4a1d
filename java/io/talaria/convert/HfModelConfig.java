package io.talaria.convert;

import io.talaria.gguf.GgufWriter;
import io.talaria.model.ModelConfig;
import io.talaria.safetensors.HfConfig;
import java.io.IOException;

/** The numbers of a Mixtral's config.json, and the same as GGUF metadata. */
final class HfModelConfig {
    private static final String ARCHITECTURE = "MixtralForCausalLM";

    private HfModelConfig() {}

    /**
     * Reads the numbers.
     *
     * @throws io.talaria.safetensors.SafetensorsException if one is missing, or if the model is none that Talaria runs
     */
    static ModelConfig read(HfConfig config) throws IOException {
        if (!config.names("architectures", ARCHITECTURE)) {
            throw config.unsupported("architectures", "does not name " + ARCHITECTURE);
        }
        int hidden = config.count("hidden_size");
        int heads = config.count("num_attention_heads");
        int headDim = config.has("head_dim") ? config.count("head_dim") : hidden / heads;
        if (headDim < 2 || headDim % 2 != 0) {
            throw config.unsupported("head_dim", "is " + headDim + ", which cannot be turned in pairs");
        }
        int context = config.count("max_position_embeddings");
        refuseWhatIsNotDone(config, context);
        return new ModelConfig(
                hidden,
                config.count("num_hidden_layers"),
                heads,
                config.has("num_key_value_heads") ? config.count("num_key_value_heads") : heads,
                headDim,
                config.count("intermediate_size"),
                config.count("num_local_experts"),
                config.count("num_experts_per_tok"),
                config.count("vocab_size"),
                context,
                headDim,
                (float) ropeBase(config),
                (float) config.number("rms_norm_eps"));
    }

    /** Files of transformers 5 have it among the parameters of RoPE, older ones by itself. */
    private static double ropeBase(HfConfig config) throws IOException {
        return config.has("rope_parameters")
                ? config.number("rope_parameters", "rope_theta")
                : config.number("rope_theta");
    }

    /** Features of the wider family that would change the result if they were passed over. */
    private static void refuseWhatIsNotDone(HfConfig config, int context) throws IOException {
        String activation = config.text("hidden_act").orElse("silu");
        if (!activation.equals("silu")) {
            throw config.unsupported("hidden_act", "is another function than silu");
        }
        if (config.has("sliding_window") && config.count("sliding_window") < context) {
            throw config.unsupported("sliding_window", "is smaller than the context, which Talaria does not do");
        }
        String type = config.text("rope_parameters", "rope_type").orElse("default");
        if (config.has("rope_scaling") || !type.equals("default")) {
            throw config.unsupported("rope_scaling", "asks for scaled RoPE, which Talaria does not do");
        }
    }

    /** Sets the keys that GGUF has for these numbers. */
    static void put(GgufWriter writer, ModelConfig config) {
        writer.putUint32("llama.context_length", config.context());
        writer.putUint32("llama.embedding_length", config.hidden());
        writer.putUint32("llama.block_count", config.layers());
        writer.putUint32("llama.feed_forward_length", config.ffn());
        writer.putUint32("llama.attention.head_count", config.heads());
        writer.putUint32("llama.attention.head_count_kv", config.kvHeads());
        writer.putUint32("llama.attention.key_length", config.headDim());
        writer.putUint32("llama.attention.value_length", config.headDim());
        writer.putFloat32("llama.attention.layer_norm_rms_epsilon", config.rmsEpsilon());
        writer.putFloat32("llama.rope.freq_base", config.ropeBase());
        writer.putUint32("llama.rope.dimension_count", config.ropeDims());
        writer.putUint32("llama.expert_count", config.experts());
        writer.putUint32("llama.expert_used_count", config.expertsUsed());
        writer.putUint32("llama.vocab_size", config.vocabulary());
    }
}
