package io.talaria.convert;

import io.talaria.gguf.GgufFile;
import io.talaria.gguf.GgufTensor;
import io.talaria.model.Model;
import io.talaria.model.ModelConfig;
import io.talaria.quant.Quant;
import io.talaria.quant.TensorType;
import io.talaria.safetensors.SafetensorsBuilder;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;

/** Writes a GGUF model as a Hugging Face folder in float32, so that its conversion has to give the model back. */
final class HfWriter {
    final Map<String, Object> config = new LinkedHashMap<>();
    final SafetensorsBuilder weights = new SafetensorsBuilder();
    private final GgufFile file;
    private final ModelConfig model;

    HfWriter(Model model, boolean stacked) throws IOException {
        this.file = model.file();
        this.model = model.config();
        config();
        tensor("model.embed_tokens.weight", "token_embd.weight", 0);
        tensor("model.norm.weight", "output_norm.weight", 0);
        tensor("lm_head.weight", "output.weight", 0);
        for (int layer = 0; layer < this.model.layers(); layer++) {
            layer("model.layers." + layer + ".", "blk." + layer + ".", stacked);
        }
    }

    private void config() {
        config.put("architectures", List.of("MixtralForCausalLM"));
        config.put("hidden_act", "silu");
        config.put("hidden_size", model.hidden());
        config.put("num_hidden_layers", model.layers());
        config.put("num_attention_heads", model.heads());
        config.put("num_key_value_heads", model.kvHeads());
        config.put("intermediate_size", model.ffn());
        config.put("num_local_experts", model.experts());
        config.put("num_experts_per_tok", model.expertsUsed());
        config.put("vocab_size", model.vocabulary());
        config.put("max_position_embeddings", model.context());
        config.put("rope_theta", model.ropeBase());
        config.put("rms_norm_eps", 1e-5);
    }

    private void layer(String prefix, String block, boolean stacked) throws IOException {
        tensor(prefix + "input_layernorm.weight", block + "attn_norm.weight", 0);
        tensor(prefix + "post_attention_layernorm.weight", block + "ffn_norm.weight", 0);
        tensor(prefix + "self_attn.q_proj.weight", block + "attn_q.weight", model.headDim());
        tensor(prefix + "self_attn.k_proj.weight", block + "attn_k.weight", model.headDim());
        tensor(prefix + "self_attn.v_proj.weight", block + "attn_v.weight", 0);
        tensor(prefix + "self_attn.o_proj.weight", block + "attn_output.weight", 0);
        tensor(prefix + (stacked ? "mlp" : "block_sparse_moe") + ".gate.weight", block + "ffn_gate_inp.weight", 0);
        byte[] gate = floats(block + "ffn_gate_exps.weight");
        byte[] up = floats(block + "ffn_up_exps.weight");
        byte[] down = floats(block + "ffn_down_exps.weight");
        long ffn = model.ffn();
        long hidden = model.hidden();
        ByteArrayOutputStream gateUp = new ByteArrayOutputStream();
        for (int e = 0; e < model.experts(); e++) {
            String expert = prefix + "block_sparse_moe.experts." + e;
            byte[] w1 = part(gate, e);
            byte[] w3 = part(up, e);
            if (stacked) {
                gateUp.writeBytes(w1);
                gateUp.writeBytes(w3);
            } else {
                weights.tensor(expert + ".w1.weight", TensorType.F32, List.of(ffn, hidden), w1);
                weights.tensor(expert + ".w2.weight", TensorType.F32, List.of(hidden, ffn), part(down, e));
                weights.tensor(expert + ".w3.weight", TensorType.F32, List.of(ffn, hidden), w3);
            }
        }
        if (stacked) {
            long experts = model.experts();
            String name = prefix + "mlp.experts.";
            weights.tensor(
                    name + "gate_up_proj", TensorType.F32, List.of(experts, 2 * ffn, hidden), gateUp.toByteArray());
            weights.tensor(name + "down_proj", TensorType.F32, List.of(experts, hidden, ffn), down);
        }
    }

    private byte[] part(byte[] all, int expert) {
        int bytes = all.length / model.experts();
        return Arrays.copyOfRange(all, expert * bytes, (expert + 1) * bytes);
    }

    /** A tensor with its rows where Hugging Face has them: of each head those of even places, then those of odd ones. */
    private void tensor(String name, String source, int headDim) throws IOException {
        GgufTensor tensor = file.tensor(source).orElseThrow();
        byte[] bytes = floats(source);
        int rowBytes = (int) tensor.columns() * Float.BYTES;
        byte[] moved = bytes.clone();
        for (int row = 0; headDim > 0 && row < tensor.rows(); row++) {
            int place = row % headDim;
            int target = row - place + (place % 2 == 0 ? place / 2 : headDim / 2 + place / 2);
            System.arraycopy(bytes, row * rowBytes, moved, target * rowBytes, rowBytes);
        }
        List<Long> shape = tensor.shape().size() == 1 ? tensor.shape() : List.of(tensor.rows(), tensor.columns());
        weights.tensor(name, TensorType.F32, shape, moved);
    }

    /** A tensor's values as the bytes of float32. */
    private byte[] floats(String name) throws IOException {
        float[] values = values(file, file.tensor(name).orElseThrow());
        byte[] bytes = new byte[values.length * Float.BYTES];
        Quant.encode(TensorType.F32, values, 0, bytes, 0, values.length);
        return bytes;
    }

    /** A tensor's values. */
    static float[] values(GgufFile file, GgufTensor tensor) throws IOException {
        byte[] bytes = new byte[(int) tensor.bytes()];
        file.read(tensor, 0, ByteBuffer.wrap(bytes));
        float[] values = new float[(int) tensor.elements()];
        Quant.decode(tensor.type(), bytes, 0, values, 0, values.length);
        return values;
    }

    void write(Path folder) throws IOException {
        Files.writeString(
                folder.resolve("config.json"), JsonMapper.builder().build().writeValueAsString(config));
        Files.write(folder.resolve("model.safetensors"), weights.build());
    }
}
