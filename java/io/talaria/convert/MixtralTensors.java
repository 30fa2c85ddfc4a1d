package io.talaria.convert;

import io.talaria.convert.HfRows.Part;
import io.talaria.gguf.Printable;
import io.talaria.model.ModelConfig;
import io.talaria.model.WeightNames;
import io.talaria.safetensors.HfFolder;
import io.talaria.safetensors.SafetensorsException;
import io.talaria.safetensors.SafetensorsFault;
import io.talaria.safetensors.SafetensorsTensor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Where each tensor of a Mixtral's GGUF file comes from in its Hugging Face folder. Experts are one tensor each there
 * ({@code block_sparse_moe.experts.N.w1}), or stacked with gate and up in one ({@code mlp.experts.gate_up_proj}).
 */
final class MixtralTensors {
    private static final String OUTPUT = "lm_head.weight";

    private final HfFolder folder;
    private final ModelConfig config;
    private final Set<String> used = new HashSet<>();
    private final List<Planned> planned = new ArrayList<>();

    /**
     * A tensor of the GGUF file.
     *
     * @param shape in GGUF order, columns first
     */
    record Planned(String name, List<Long> shape, HfRows rows) {}

    private MixtralTensors(HfFolder folder, ModelConfig config) {
        this.folder = folder;
        this.config = config;
    }

    /**
     * The tensors, in the order of the file.
     *
     * @throws SafetensorsException if one is missing, misshapen or left over
     */
    static List<Planned> of(HfFolder folder, ModelConfig config) throws IOException {
        MixtralTensors tensors = new MixtralTensors(folder, config);
        tensors.plan();
        tensors.refuseLeftovers();
        return tensors.planned;
    }

    private void plan() throws IOException {
        int hidden = config.hidden();
        matrix(WeightNames.EMBEDDING, "model.embed_tokens.weight", config.vocabulary(), hidden, 0);
        for (int layer = 0; layer < config.layers(); layer++) {
            layer(layer, "model.layers." + layer + ".");
        }
        vector(WeightNames.OUTPUT_NORM, "model.norm.weight");
        if (folder.config().flag("tie_word_embeddings", false)) {
            used.add(OUTPUT); // where it is there all the same, the embedding counts
        } else {
            matrix(WeightNames.OUTPUT, OUTPUT, config.vocabulary(), hidden, 0);
        }
    }

    private void layer(int layer, String prefix) throws IOException {
        int hidden = config.hidden();
        int headDim = config.headDim();
        String attention = prefix + "self_attn.";
        vector(WeightNames.of(layer, WeightNames.ATTENTION_NORM), prefix + "input_layernorm.weight");
        matrix(name(layer, WeightNames.QUERY), attention + "q_proj.weight", config.queryWidth(), hidden, headDim);
        matrix(name(layer, WeightNames.KEY), attention + "k_proj.weight", config.kvWidth(), hidden, headDim);
        matrix(name(layer, WeightNames.VALUE), attention + "v_proj.weight", config.kvWidth(), hidden, 0);
        matrix(name(layer, WeightNames.ATTENTION_OUTPUT), attention + "o_proj.weight", hidden, config.queryWidth(), 0);
        vector(name(layer, WeightNames.FFN_NORM), prefix + "post_attention_layernorm.weight");
        boolean stacked = folder.tensor(prefix + "mlp.experts.gate_up_proj").isPresent();
        String router = stacked ? "mlp.gate.weight" : "block_sparse_moe.gate.weight";
        matrix(name(layer, WeightNames.ROUTER), prefix + router, config.experts(), hidden, 0);
        if (stacked) {
            stackedExperts(layer, prefix + "mlp.experts.");
        } else {
            String experts = prefix + "block_sparse_moe.experts.";
            experts(layer, WeightNames.GATE, experts, ".w1.weight", config.ffn(), hidden);
            experts(layer, WeightNames.UP, experts, ".w3.weight", config.ffn(), hidden);
            experts(layer, WeightNames.DOWN, experts, ".w2.weight", hidden, config.ffn());
        }
    }

    private static String name(int layer, String weight) {
        return WeightNames.of(layer, weight);
    }

    private void experts(int layer, String name, String prefix, String suffix, int rows, int columns)
            throws IOException {
        List<Part> parts = new ArrayList<>();
        for (int expert = 0; expert < config.experts(); expert++) {
            parts.add(new Part(find(prefix + expert + suffix, rows, columns), 0, rows));
        }
        addExperts(layer, name, parts, rows, columns);
    }

    /** Of each expert the rows of gate, then those of up. */
    private void stackedExperts(int layer, String prefix) throws IOException {
        int ffn = config.ffn();
        int hidden = config.hidden();
        SafetensorsTensor gateUp = find(prefix + "gate_up_proj", config.experts(), 2L * ffn, hidden);
        SafetensorsTensor down = find(prefix + "down_proj", config.experts(), hidden, ffn);
        addExperts(layer, WeightNames.GATE, slices(gateUp, 0, ffn, 2L * ffn), ffn, hidden);
        addExperts(layer, WeightNames.UP, slices(gateUp, ffn, ffn, 2L * ffn), ffn, hidden);
        addExperts(layer, WeightNames.DOWN, slices(down, 0, hidden, hidden), hidden, ffn);
    }

    private List<Part> slices(SafetensorsTensor tensor, long first, long rows, long step) {
        List<Part> parts = new ArrayList<>();
        for (int expert = 0; expert < config.experts(); expert++) {
            parts.add(new Part(tensor, expert * step + first, rows));
        }
        return parts;
    }

    private void addExperts(int layer, String name, List<Part> parts, long rows, int columns) {
        add(WeightNames.stacked(layer, name), parts, columns, 0, (long) columns, rows, (long) config.experts());
    }

    private void matrix(String name, String source, int rows, int columns, int headDim) throws IOException {
        Part part = new Part(find(source, rows, columns), 0, rows);
        add(name, List.of(part), columns, headDim, (long) columns, (long) rows);
    }

    private void vector(String name, String source) throws IOException {
        int columns = config.hidden();
        add(name, List.of(new Part(find(source, columns), 0, 1)), columns, 0, (long) columns);
    }

    private void add(String name, List<Part> parts, int columns, int headDim, Long... shape) {
        planned.add(new Planned(name, List.of(shape), new HfRows(folder, parts, columns, headDim)));
    }

    private SafetensorsTensor find(String name, long... shape) throws SafetensorsException {
        SafetensorsTensor tensor = folder.tensor(name)
                .orElseThrow(() -> SafetensorsException.of(
                        SafetensorsFault.TENSOR_MISSING, folder.path(), "the tensor '" + name + "' is missing"));
        List<Long> wanted = Arrays.stream(shape).boxed().toList();
        if (!tensor.shape().equals(wanted)) {
            throw SafetensorsException.of(
                    SafetensorsFault.TENSOR_SHAPE,
                    folder.path(),
                    "the tensor '" + name + "' has shape " + tensor.shape() + " where config.json calls for " + wanted);
        }
        used.add(name);
        return tensor;
    }

    private void refuseLeftovers() throws SafetensorsException {
        for (SafetensorsTensor tensor : folder.tensors()) {
            // Old tools saved RoPE's frequencies too, which follow from its base.
            if (!used.contains(tensor.name()) && !tensor.name().endsWith(".rotary_emb.inv_freq")) {
                throw SafetensorsException.of(
                        SafetensorsFault.TENSOR_LEFT_OVER,
                        folder.path(),
                        "the tensor " + Printable.name(tensor.name()) + " is no part of a Mixtral model");
            }
        }
    }
}
