package io.talaria.model;

import io.talaria.gguf.GgufValueType;
import io.talaria.gguf.GgufWriter;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * A Mixtral of a few kilobytes with random F32 weights, whose metadata and tensors a test may change before it is
 * written: 2 layers, hidden 16, 2 heads of 8, 1 KV head, FFN 12, 4 experts of which 2 work, 264 tokens.
 */
public final class TinyModel {
    public static final int HIDDEN = 16;
    public static final int VOCABULARY = 264;
    public static final int EXPERTS = 4;
    private static final int FFN = 12;
    private static final int HEAD_DIM = 8;
    private static final int LAYERS = 2;

    /** A tensor's type and shape in file order. */
    record Spec(TensorType type, List<Long> shape) {}

    /** Metadata by key: Long for uint32, Float, Boolean, String, or a list. */
    final Map<String, Object> keys = new LinkedHashMap<>();

    final Map<String, Spec> tensors = new LinkedHashMap<>();

    private TinyModel(boolean split) {
        keys.put("general.architecture", "llama");
        keys.put("llama.context_length", 64L);
        keys.put("llama.embedding_length", (long) HIDDEN);
        keys.put("llama.block_count", (long) LAYERS);
        keys.put("llama.feed_forward_length", (long) FFN);
        keys.put("llama.attention.head_count", 2L);
        keys.put("llama.attention.head_count_kv", 1L);
        keys.put("llama.attention.layer_norm_rms_epsilon", 1e-5f);
        keys.put("llama.rope.freq_base", 1e6f);
        keys.put("llama.rope.dimension_count", (long) HEAD_DIM);
        keys.put("llama.expert_count", (long) EXPERTS);
        keys.put("llama.expert_used_count", 2L);
        keys.put("llama.vocab_size", (long) VOCABULARY);
        vocabulary();
        tensor("token_embd.weight", HIDDEN, VOCABULARY);
        for (int layer = 0; layer < LAYERS; layer++) {
            layer("blk." + layer + ".", split);
        }
        tensor("output_norm.weight", HIDDEN);
        tensor("output.weight", HIDDEN, VOCABULARY);
    }

    /** Experts stacked in one tensor per projection. */
    public static TinyModel stacked() {
        return new TinyModel(false);
    }

    /** Experts in tensors of their own, as in files made before April 2024. */
    public static TinyModel split() {
        return new TinyModel(true);
    }

    private void vocabulary() {
        List<String> pieces = new ArrayList<>(List.of("<unk>", "<s>", "</s>"));
        List<Integer> types = new ArrayList<>(List.of(2, 3, 3));
        for (int i = 0; i < 256; i++) {
            pieces.add("<0x%02X>".formatted(i));
            types.add(6);
        }
        for (String piece : new String[] {"<|im_start|>", "<|im_end|>", "a", "b", "ab"}) {
            pieces.add(piece);
            types.add(piece.startsWith("<") ? 3 : 1);
        }
        keys.put("tokenizer.ggml.model", "llama");
        keys.put("tokenizer.ggml.tokens", pieces);
        float[] scores = new float[pieces.size()];
        for (int i = 0; i < scores.length; i++) {
            scores[i] = -i;
        }
        keys.put("tokenizer.ggml.scores", scores);
        keys.put(
                "tokenizer.ggml.token_type",
                types.stream().mapToInt(Integer::intValue).toArray());
        keys.put("tokenizer.ggml.bos_token_id", 1L);
        keys.put("tokenizer.ggml.eos_token_id", 260L);
    }

    private void layer(String prefix, boolean split) {
        tensor(prefix + "attn_norm.weight", HIDDEN);
        tensor(prefix + "attn_q.weight", HIDDEN, 2 * HEAD_DIM);
        tensor(prefix + "attn_k.weight", HIDDEN, HEAD_DIM);
        tensor(prefix + "attn_v.weight", HIDDEN, HEAD_DIM);
        tensor(prefix + "attn_output.weight", 2 * HEAD_DIM, HIDDEN);
        tensor(prefix + "ffn_norm.weight", HIDDEN);
        tensor(prefix + "ffn_gate_inp.weight", HIDDEN, EXPERTS);
        if (split) {
            for (int expert = 0; expert < EXPERTS; expert++) {
                tensor(prefix + "ffn_gate." + expert + ".weight", HIDDEN, FFN);
                tensor(prefix + "ffn_up." + expert + ".weight", HIDDEN, FFN);
                tensor(prefix + "ffn_down." + expert + ".weight", FFN, HIDDEN);
            }
        } else {
            tensor(prefix + "ffn_gate_exps.weight", HIDDEN, FFN, EXPERTS);
            tensor(prefix + "ffn_up_exps.weight", HIDDEN, FFN, EXPERTS);
            tensor(prefix + "ffn_down_exps.weight", FFN, HIDDEN, EXPERTS);
        }
    }

    TinyModel tensor(String name, long... shape) {
        return tensor(name, TensorType.F32, shape);
    }

    TinyModel tensor(String name, TensorType type, long... shape) {
        List<Long> dims = new ArrayList<>();
        for (long dim : shape) {
            dims.add(dim);
        }
        tensors.put(name, new Spec(type, dims));
        return this;
    }

    TinyModel key(String name, Object value) {
        keys.put(name, value);
        return this;
    }

    TinyModel without(String name) {
        if (keys.remove(name) == null && tensors.remove(name) == null) {
            throw new IllegalArgumentException("there is no " + name);
        }
        return this;
    }

    /** Writes the file, with weights from a fixed seed. */
    public Path write(Path path) throws IOException {
        GgufWriter writer = new GgufWriter();
        keys.forEach((key, value) -> put(writer, key, value));
        Random random = new Random(1);
        for (Map.Entry<String, Spec> tensor : tensors.entrySet()) {
            ByteBuffer data = data(tensor.getKey(), tensor.getValue(), random);
            writer.addTensor(
                    tensor.getKey(),
                    tensor.getValue().type(),
                    tensor.getValue().shape(),
                    GgufWriter.TensorData.of(data));
        }
        writer.write(path);
        return path;
    }

    @SuppressWarnings("unchecked")
    private static void put(GgufWriter writer, String key, Object value) {
        switch (value) {
            case Long number -> writer.putUint32(key, number);
            case Integer number -> writer.putInteger(key, GgufValueType.INT32, number);
            case Float number -> writer.putFloat32(key, number);
            case Boolean flag -> writer.putBool(key, flag);
            case String text -> writer.putString(key, text);
            case float[] numbers -> writer.putFloat32Array(key, numbers);
            case int[] numbers -> writer.putInt32Array(key, numbers);
            default -> writer.putStringArray(key, (List<String>) value);
        }
    }

    private static ByteBuffer data(String name, Spec spec, Random random) {
        long elements = spec.shape().stream().reduce(1L, Math::multiplyExact);
        int bytes = Math.toIntExact(spec.type().bytes(elements));
        ByteBuffer data = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
        while (spec.type() == TensorType.F32 && data.hasRemaining()) {
            data.putFloat(name.contains("norm") ? 1 : (float) random.nextGaussian() * 0.3f);
        }
        return data.clear();
    }
}
