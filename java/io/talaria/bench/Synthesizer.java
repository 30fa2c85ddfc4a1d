package io.talaria.bench;

import io.talaria.gguf.GgufWriter;
import io.talaria.model.ExpertLayout;
import io.talaria.model.LoadProgress;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Writes a GGUF file with a model of real shape and recipe and made-up weights. Deviations are such that activations
 * stay near unit variance through all layers and that a token's experts are any two: what such a model writes means
 * nothing, what it costs is what the real one costs.
 */
public final class Synthesizer {
    private static final int CHUNK_BLOCKS = 1 << 13;

    private final SyntheticShape shape;
    private final Recipe recipe;
    private final ExpertLayout layout;
    private final LoadProgress progress;
    private final GgufWriter writer = new GgufWriter();
    private long total;
    private long done;

    private Synthesizer(SyntheticShape shape, Recipe recipe, ExpertLayout layout, LoadProgress progress) {
        this.shape = shape;
        this.recipe = recipe;
        this.layout = layout;
        this.progress = progress;
    }

    /**
     * Writes the file; the same arguments give the same bytes, and both layouts the same weights.
     *
     * @throws IllegalArgumentException if the recipe's types do not fit the shape
     * @throws IOException if the file cannot be written
     */
    public static void write(
            Path target, SyntheticShape shape, Recipe recipe, ExpertLayout layout, LoadProgress progress)
            throws IOException {
        if (layout == ExpertLayout.DENSE) {
            throw new IllegalArgumentException("a dense model has no experts to lay out");
        }
        Synthesizer synthesizer = new Synthesizer(shape, recipe, layout, progress);
        synthesizer.metadata();
        synthesizer.tensors();
        synthesizer.requireSpace(target);
        synthesizer.writer.write(target);
    }

    /** So that a disk that is too small is not found out when it is full. */
    private void requireSpace(Path target) throws IOException {
        Path folder = target.toAbsolutePath().getParent();
        long free = Files.getFileStore(folder).getUsableSpace();
        if (total > free) {
            throw new FileSystemException(
                    target.toString(),
                    null,
                    "%.3f GB are needed and %.3f GB are free".formatted(total / 1e9, free / 1e9));
        }
    }

    private void metadata() {
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
        if (layout == ExpertLayout.STACKED) {
            List<Part> parts = new ArrayList<>();
            for (int expert = 0; expert < shape.experts(); expert++) {
                parts.add(new Part(block + name + "." + expert, type, deviation, (long) columns * rows));
            }
            add(block + name + "_exps.weight", type, parts, columns, rows, shape.experts());
        } else {
            for (int expert = 0; expert < shape.experts(); expert++) {
                Part part = new Part(block + name + "." + expert, type, deviation, (long) columns * rows);
                add(part.seedName() + ".weight", type, List.of(part), columns, rows);
            }
        }
    }

    private void matrix(String name, TensorType type, double deviation, int columns, int rows) {
        add(name, type, List.of(new Part(name, type, deviation, (long) columns * rows)), columns, rows);
    }

    private void ones(String name, int columns) {
        ByteBuffer data = ByteBuffer.allocate(Float.BYTES * columns).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < columns; i++) {
            data.putFloat(1);
        }
        writer.addTensor(name, TensorType.F32, List.of((long) columns), GgufWriter.TensorData.of(data.flip()));
    }

    /** A stretch of random weights with a seed of its own, so that both layouts hold the same. */
    private record Part(String seedName, TensorType type, double deviation, long elements) {}

    private void add(String name, TensorType type, List<Part> parts, long... dims) {
        if (dims[0] % type.blockElements() != 0) {
            throw new IllegalArgumentException("rows of " + dims[0] + " values do not fill " + type + " blocks of "
                    + type.blockElements() + ": choose a multiple, or another format");
        }
        List<Long> fileShape = new ArrayList<>();
        for (long dim : dims) {
            fileShape.add(dim);
        }
        parts.forEach(part -> total += type.bytes(part.elements()));
        writer.addTensor(name, type, fileShape, channel -> {
            for (Part part : parts) {
                RandomBlocks blocks = new RandomBlocks(seed(part.seedName()), type, part.deviation());
                ByteBuffer chunk = ByteBuffer.allocate(CHUNK_BLOCKS * type.blockBytes());
                for (long left = type.bytes(part.elements()); left > 0; left -= chunk.limit()) {
                    chunk.clear().limit((int) Math.min(chunk.capacity(), left));
                    blocks.fill(chunk);
                    while (chunk.hasRemaining()) {
                        done += channel.write(chunk);
                    }
                    progress.loaded(done, total);
                }
            }
        });
    }

    private static long seed(String name) {
        long seed = 0x9E3779B97F4A7C15L;
        for (char c : name.toCharArray()) {
            seed = (seed ^ c) * 0x100000001B3L;
        }
        return seed;
    }
}
