package io.talaria.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Well-formed files that lie about their model: each is refused with its sentence, before any device is touched. */
class ModelFaultsTest {
    /** A lie, and what the sentence must say. */
    record Fault(String name, UnaryOperator<TinyModel> lie, String... sentence) {
        @Override
        public String toString() {
            return name;
        }
    }

    static final List<Fault> FAULTS = faults();

    @TempDir
    private Path folder;

    private static List<Fault> faults() {
        List<Fault> faults = new ArrayList<>();
        for (String key : new String[] {
            "general.architecture",
            "llama.embedding_length",
            "llama.block_count",
            "llama.feed_forward_length",
            "llama.attention.head_count",
            "llama.attention.layer_norm_rms_epsilon",
            "llama.context_length"
        }) {
            faults.add(new Fault("no " + key, m -> m.without(key), key, "missing"));
        }
        for (String tensor : new String[] {
            "token_embd.weight",
            "output_norm.weight",
            "blk.1.attn_norm.weight",
            "blk.0.attn_q.weight",
            "blk.0.attn_k.weight",
            "blk.0.attn_v.weight",
            "blk.1.attn_output.weight",
            "blk.0.ffn_norm.weight",
            "blk.1.ffn_gate_inp.weight",
            "blk.0.ffn_gate_exps.weight",
            "blk.1.ffn_up_exps.weight",
            "blk.1.ffn_down_exps.weight"
        }) {
            faults.add(new Fault("no " + tensor, m -> m.without(tensor), "'" + tensor + "' is missing"));
        }
        faults.addAll(numbers());
        faults.addAll(shapes());
        faults.addAll(tokenizers());
        return faults;
    }

    private static List<Fault> numbers() {
        return List.of(
                key("another architecture", "general.architecture", "qwen2moe", "'qwen2moe'", "Mixtral"),
                key("a width as text", "llama.embedding_length", "16", "llama.embedding_length"),
                key("a width of another integer type", "llama.embedding_length", 16, "llama.embedding_length"),
                key("an epsilon as integer", "llama.attention.layer_norm_rms_epsilon", 1L, "rms_epsilon"),
                key("no width", "llama.embedding_length", 0L, "0 is not between"),
                key("a huge width", "llama.embedding_length", 1L << 31, "is not between"),
                key("no layers", "llama.block_count", 0L, "llama.block_count"),
                key("no heads", "llama.attention.head_count", 0L, "head_count"),
                key("heads that do not divide", "llama.attention.head_count", 3L, "3 does not divide the width"),
                key("no KV heads", "llama.attention.head_count_kv", 0L, "head_count_kv"),
                key("more KV heads than heads", "llama.attention.head_count_kv", 4L, "head_count_kv"),
                key("an odd head size", "llama.attention.key_length", 7L, "turned in pairs"),
                key("values of another size", "llama.attention.value_length", 6L, "value_length"),
                key("odd RoPE", "llama.rope.dimension_count", 7L, "7 is odd"),
                key("RoPE past the head", "llama.rope.dimension_count", 16L, "rope.dimension_count"),
                key("RoPE base of zero", "llama.rope.freq_base", 0f, "not positive"),
                key("RoPE base of infinity", "llama.rope.freq_base", Float.POSITIVE_INFINITY, "not positive"),
                key("scaled RoPE", "llama.rope.scaling.type", "yarn", "'yarn' is not supported"),
                key("an epsilon of NaN", "llama.attention.layer_norm_rms_epsilon", Float.NaN, "not positive"),
                key("a negative epsilon", "llama.attention.layer_norm_rms_epsilon", -1e-5f, "not positive"),
                key("a sliding window", "llama.attention.sliding_window", 32L, "window of 32"),
                key("no context", "llama.context_length", 0L, "context_length"),
                key("no experts used", "llama.expert_used_count", 0L, "0 of 4 experts"),
                key("more experts used than there are", "llama.expert_used_count", 5L, "5 of 4 experts"),
                key("too many experts", "llama.expert_count", 600L, "600 is not between"),
                key("8 experts where 4 are present", "llama.expert_count", 8L, "ffn_gate_inp", "has shape"),
                key("3 layers where 2 are present", "llama.block_count", 3L, "'blk.2.attn_norm.weight' is missing"),
                key("1 layer where 2 are present", "llama.block_count", 1L, "blk.1.", "no part of"),
                key("another vocabulary", "llama.vocab_size", 265L, "265 tokens", "264"));
    }

    private static List<Fault> shapes() {
        int h = TinyModel.HIDDEN;
        String down = "blk.0.ffn_down_exps.weight";
        return List.of(
                tensor("a transposed router", "blk.0.ffn_gate_inp.weight", TensorType.F32, "has shape", 4, h),
                tensor("a narrow embedding", "token_embd.weight", TensorType.F32, "has shape", 8, 264),
                tensor("a short norm", "output_norm.weight", TensorType.F32, "has shape", 8),
                tensor("a norm of two dimensions", "output_norm.weight", TensorType.F32, "has shape", h, 2),
                tensor("swapped experts", down, TensorType.F32, "has shape", h, 12, 4),
                tensor("one expert too few", down, TensorType.F32, "has shape", 12, h, 3),
                tensor("a norm in F16", "blk.0.attn_norm.weight", TensorType.F16, "must be one of", h),
                tensor("a matrix of integers", "blk.0.attn_q.weight", TensorType.I32, "must be one of", h, h),
                tensor("a matrix of doubles", "output.weight", TensorType.F64, "must be one of", h, 264),
                tensor("a bias", "blk.0.attn_q.bias", TensorType.F32, "no part of a Mixtral", h),
                tensor("RoPE factors", "rope_freqs.weight", TensorType.F32, "no part of a Mixtral", 4),
                new Fault(
                        "experts in both layouts",
                        m -> m.tensor("blk.0.ffn_gate.0.weight", h, 12),
                        "'blk.0.ffn_gate.1.weight' is missing"));
    }

    private static List<Fault> tokenizers() {
        return List.of(
                key("scores of another length", "tokenizer.ggml.scores", new float[3], "score"),
                key("types of another length", "tokenizer.ggml.token_type", new int[3], "type"),
                key("another kind of tokenizer", "tokenizer.ggml.model", "gpt2", "gpt2"),
                key("tokens as numbers", "tokenizer.ggml.tokens", new int[264], "tokenizer.ggml.tokens"),
                key("fewer tokens than rows", "tokenizer.ggml.tokens", List.of("<unk>", "<s>"), "token"),
                key("a beginning that is no token", "tokenizer.ggml.bos_token_id", 264L, "264"),
                key("an end that is no token", "tokenizer.ggml.eos_token_id", 1L << 31, "2147483648"),
                new Fault("no tokens", m -> m.without("tokenizer.ggml.tokens"), "tokenizer.ggml.tokens"));
    }

    private static Fault key(String name, String key, Object value, String... sentence) {
        return new Fault(name, m -> m.key(key, value), sentence);
    }

    private static Fault tensor(String name, String tensor, TensorType type, String sentence, long... shape) {
        return new Fault(name, m -> m.tensor(tensor, type, shape), sentence);
    }

    @Test
    void thereAreEnough() {
        assertTrue(FAULTS.size() >= 60, "only " + FAULTS.size());
        assertEquals(FAULTS.size(), FAULTS.stream().map(Fault::name).distinct().count());
    }

    @ParameterizedTest
    @FieldSource("FAULTS")
    void isRefused(Fault fault) throws IOException {
        Path file = fault.lie().apply(TinyModel.stacked()).write(folder.resolve("lie.gguf"));
        IOException thrown = assertThrows(IOException.class, () -> openWhole(file));
        String message = thrown.getMessage();
        assertTrue(message.contains("lie.gguf"), "names no file: " + message);
        for (String part : fault.sentence()) {
            assertTrue(message.contains(part), "does not say '" + part + "': " + message);
        }
        assertTrue(Stream.of("\n", "Exception", "null").noneMatch(message::contains), message);
    }

    private static void openWhole(Path file) throws IOException {
        try (Model model = Model.open(file)) {
            assertNotNull(model.tokenizer());
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void theTruthIsAccepted(boolean split) throws IOException {
        TinyModel tiny = split ? TinyModel.split() : TinyModel.stacked();
        Path file = tiny.write(folder.resolve("truth.gguf"));
        openWhole(file);
        try (Model model = Model.open(file)) {
            assertEquals(split ? ExpertLayout.SPLIT : ExpertLayout.STACKED, model.layout());
        }
    }

    @Test
    void splitExpertsOfDifferentTypesAreRefused() throws IOException {
        Path file = TinyModel.split()
                .tensor("blk.1.ffn_up.2.weight", TensorType.F16, TinyModel.HIDDEN, 12)
                .write(folder.resolve("lie.gguf"));
        String message =
                assertThrows(ModelException.class, () -> openWhole(file)).getMessage();
        assertTrue(message.contains("different types"), message);
    }

    @Test
    void aMissingSplitExpertIsNamed() throws IOException {
        Path file = TinyModel.split().without("blk.1.ffn_down.3.weight").write(folder.resolve("lie.gguf"));
        String message =
                assertThrows(ModelException.class, () -> openWhole(file)).getMessage();
        assertTrue(message.contains("'blk.1.ffn_down.3.weight' is missing"), message);
    }
}
