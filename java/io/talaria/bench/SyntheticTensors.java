package io.talaria.bench;

import io.talaria.gguf.GgufWriter;
import io.talaria.model.ExpertLayout;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;

/**
 * What a made-up model consists of: metadata, and tensors with the deviation that their weights should have, such that
 * activations stay near unit variance through all layers and that a token's experts are any two.
 */
final class SyntheticTensors {
    private final SyntheticShape shape;
    private final Recipe recipe;
    private final ExpertLayout layout;
    private final List<Made> tensors = new ArrayList<>();

    /**
     * A tensor.
     *
     * @param dims in the order of GGUF files, columns first
     * @param deviation of its weights; 0 for a norm, whose weights are 1
     * @param parts what it is put together from: one, or one per expert, all of one size
     */
    record Made(String name, TensorType type, List<Long> dims, double deviation, List<Part> parts) {
        boolean norm() {
            return deviation == 0;
        }

        long partBytes() {
            return type.bytes(parts.getFirst().elements());
        }

        long bytes() {
            return partBytes() * parts.size();
        }
    }

    /** A stretch of random weights with a seed of its own, so that both layouts hold the same. */
    record Part(String seedName, long elements) {
        long seed() {
            long seed = 0x9E3779B97F4A7C15L;
            for (char c : seedName.toCharArray()) {
                seed = (seed ^ c) * 0x100000001B3L;
            }
            return seed;
        }
    }

    private SyntheticTensors(SyntheticShape shape, Recipe recipe, ExpertLayout layout) {
        this.shape = shape;
        this.recipe = recipe;
        this.layout = layout;
    }

    /**
     * The tensors, in the order of a file.
     *
     * @throws IllegalArgumentException if the recipe's types do not fit the shape
     */
    static List<Made> of(SyntheticShape shape, Recipe recipe, ExpertLayout layout) {
        SyntheticTensors made = new SyntheticTensors(shape, recipe, layout);
        made.tensors();
        return made.tensors;
    }

    static void putMetadata(GgufWriter writer, SyntheticShape shape, Recipe recipe) {
        writer.putString("general.architecture", "llama");
        writer.putString("general.name", "synthetic " + shape.name() + " " + recipe);
        writer.putUint32("llama.context_length", shape.context());
        writer.putUint32("llama.embedding_length", shape.hidden());
        writer.putUint32("llama.block_count", shape.layers());
        writer.putUint32("llama.feed_forward_length", shape.ffn());
        writer.putUint32("llama.attention.head_count", shape.heads());
        writer.putUint32("llama.attention.head_count_kv", shape.kvHeads());
        writer.putUint32("llama.attention.key_length", shape.headDim());
        writer.putUint32("llama.attention.value_length", shape.headDim());
        writer.putFloat32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
        writer.putFloat32("llama.rope.freq_base", 1e6f);
        writer.putUint32("llama.rope.dimension_count", shape.headDim());
        writer.putUint32("llama.expert_count", shape.experts());
        writer.putUint32("llama.expert_used_count", shape.expertsUsed());
        writer.putUint32("llama.vocab_size", shape.vocabulary());
        SyntheticVocabulary.put(writer, shape.vocabulary());
    }

    private void tensors() {
        int hidden = shape.hidden();
        int queries = shape.heads() * shape.headDim();
        int keys = shape.kvHeads() * shape.headDim();
        matrix("token_embd.weight", recipe.embedding(), 1, hidden, shape.vocabulary());
        for (int layer = 0; layer < shape.layers(); layer++) {
            String block = "blk." + layer + ".";
            ones(block + "attn_norm.weight", hidden);
            matrix(block + "attn_q.weight", recipe.query(), deviation(hidden), hidden, queries);
            matrix(block + "attn_k.weight", recipe.keyAndValue(), deviation(hidden), hidden, keys);
            matrix(block + "attn_v.weight", recipe.keyAndValue(), deviation(hidden), hidden, keys);
            matrix(block + "attn_output.weight", recipe.attentionOutput(), residual(queries), queries, hidden);
            ones(block + "ffn_norm.weight", hidden);
            matrix(block + "ffn_gate_inp.weight", TensorType.F32, deviation(hidden), hidden, shape.experts());
            experts(block, "ffn_gate", recipe.gateAndUp(), deviation(hidden), hidden, shape.ffn());
            experts(block, "ffn_up", recipe.gateAndUp(), deviation(hidden), hidden, shape.ffn());
            TensorType down = recipe.down(layer, shape.layers());
            experts(block, "ffn_down", down, residual(shape.ffn()), shape.ffn(), hidden);
        }
        ones("output_norm.weight", hidden);
        matrix("output.weight", recipe.output(), 3 * deviation(hidden), hidden, shape.vocabulary());
    }

    /** Products of unit-variance inputs come out with unit variance. */
    private static double deviation(int columns) {
        return 1 / Math.sqrt(columns);
    }

    /** What is added to the residual stream is smaller the more layers add to it. */
    private double residual(int columns) {
        return 1 / Math.sqrt((double) columns * 2 * shape.layers());
    }

    private void experts(String block, String name, TensorType type, double deviation, int columns, int rows) {
        List<Part> parts = new ArrayList<>();
        for (int expert = 0; expert < shape.experts(); expert++) {
            parts.add(new Part(block + name + "." + expert, (long) columns * rows));
        }
        if (layout == ExpertLayout.STACKED) {
            add(block + name + "_exps.weight", type, deviation, parts, columns, rows, shape.experts());
        } else {
            parts.forEach(part -> add(part.seedName() + ".weight", type, deviation, List.of(part), columns, rows));
        }
    }

    private void matrix(String name, TensorType type, double deviation, int columns, int rows) {
        add(name, type, deviation, List.of(new Part(name, (long) columns * rows)), columns, rows);
    }

    private void ones(String name, int columns) {
        add(name, TensorType.F32, 0, List.of(new Part(name, columns)), columns);
    }

    private void add(String name, TensorType type, double deviation, List<Part> parts, long... dims) {
        if (dims[0] % type.blockElements() != 0) {
            throw new IllegalArgumentException("rows of " + dims[0] + " values do not fill " + type + " blocks of "
                    + type.blockElements() + ": choose a multiple, or another format");
        }
        tensors.add(new Made(name, type, LongStream.of(dims).boxed().toList(), deviation, List.copyOf(parts)));
    }
}
