package io.talaria.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.TestData;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Files that other tools wrote are read as they are, and survive the way through the writer. */
class GoldenFilesTest {
    private static final List<String> NAMES = List.of(
            "nano-F16.gguf",
            "nano-Q8_0.gguf",
            "nano-Q6_K.gguf",
            "nano-Q4_K_M.gguf",
            "nano-split-Q4_K_M.gguf",
            "gqa128-Q8_0.gguf",
            "gqa128-Q4_K_M.gguf",
            "wide-Q6_K.gguf",
            "wide-Q4_K_M.gguf");

    @TempDir
    Path folder;

    @TestFactory
    Stream<DynamicTest> roundTrips() {
        return NAMES.stream()
                .map(name -> DynamicTest.dynamicTest(name, () -> {
                    Path original = TestData.golden(name);
                    // These files are laid out the way the writer does it, so that even their bytes are the same.
                    assertEquals(-1, Files.mismatch(original, roundTrip(original)));
                }));
    }

    @Test
    void vocabularyFileRoundTrips() throws IOException {
        roundTrip(TestData.vocab("llama-spm.gguf"));
    }

    @Test
    void stackedLayout() throws IOException {
        try (GgufFile file = GgufFile.open(TestData.golden("nano-Q4_K_M.gguf"))) {
            assertEquals(3, file.version());
            assertEquals(23, file.tensors().size());
            assertEquals(2_423_776, file.fileBytes());
            assertEquals(List.of(TestData.golden("nano-Q4_K_M.gguf")), file.paths());
            // The header has 13,266 bytes; tensor data begins at the next multiple of 32.
            assertEquals(
                    new GgufTensor("output.weight", TensorType.Q6_K, List.of(256L, 512L), 0, 13_280, 107_520),
                    file.tensors().get(0));
            assertEquals(
                    new GgufTensor(
                            "blk.1.ffn_up_exps.weight",
                            TensorType.Q4_K,
                            List.of(256L, 256L, 8L),
                            0,
                            13_280 + 2_115_584,
                            294_912),
                    file.tensors().get(22));
            GgufTensor router = file.tensor("blk.0.ffn_gate_inp.weight").orElseThrow();
            assertEquals(TensorType.F32, router.type());
            assertEquals(256, router.columns());
            assertEquals(8, router.rows());
            assertEquals(2048, router.elements());
            assertTrue(file.tensor("blk.2.ffn_gate_inp.weight").isEmpty());
        }
    }

    @Test
    void metadata() throws IOException {
        try (GgufFile file = GgufFile.open(TestData.golden("nano-Q4_K_M.gguf"))) {
            GgufMetadata metadata = file.metadata();
            assertEquals(27, metadata.keys().size());
            assertEquals("general.architecture", metadata.keys().iterator().next());
            assertEquals("llama", metadata.string("general.architecture").orElseThrow());
            assertEquals(OptionalLong.of(32_768), metadata.uint32("llama.context_length"));
            assertEquals(1e6f, metadata.float32("llama.rope.freq_base").orElseThrow());
            assertEquals(true, metadata.bool("tokenizer.ggml.add_bos_token").orElseThrow());
            List<String> tokens = metadata.stringArray("tokenizer.ggml.tokens").orElseThrow();
            assertEquals(512, tokens.size());
            assertEquals(List.of("<unk>", "<s>", "</s>"), tokens.subList(0, 3));
            assertEquals("<|im_end|>", tokens.get(510));
            assertEquals(512, metadata.float32Array("tokenizer.ggml.scores").orElseThrow().length);
            int[] types = metadata.int32Array("tokenizer.ggml.token_type").orElseThrow();
            assertArrayEquals(new int[] {2, 3, 3}, Arrays.copyOf(types, 3));
            assertEquals(GgufValueType.ARRAY, metadata.type("tokenizer.ggml.tokens"));
            assertEquals(
                    GgufValueType.STRING,
                    metadata.elementType("tokenizer.ggml.tokens").orElseThrow());
            assertFalse(metadata.has("split.count"));
        }
    }

    @Test
    void splitLayout() throws IOException {
        try (GgufFile file = GgufFile.open(TestData.golden("nano-split-Q4_K_M.gguf"))) {
            for (int layer = 0; layer < 2; layer++) {
                for (int expert = 0; expert < 8; expert++) {
                    String name = "blk." + layer + ".ffn_gate." + expert + ".weight";
                    GgufTensor gate = file.tensor(name).orElseThrow();
                    assertEquals(List.of(256L, 256L), gate.shape());
                }
            }
            assertEquals(
                    TensorType.F16,
                    file.tensor("blk.1.ffn_gate_inp.weight").orElseThrow().type());
        }
    }

    private Path roundTrip(Path original) throws IOException {
        Path copy = folder.resolve("copy.gguf");
        try (GgufFile file = GgufFile.open(original)) {
            GgufWriter writer = new GgufWriter().putAll(file.metadata());
            for (GgufTensor tensor : file.tensors()) {
                writer.addTensor(
                        tensor.name(), tensor.type(), tensor.shape(), GgufWriter.TensorData.copyOf(file, tensor));
            }
            writer.write(copy);
            file.verifyLength();
            try (GgufFile written = GgufFile.open(copy)) {
                assertSame(file, written);
            }
        }
        return copy;
    }

    static void assertSame(GgufFile expected, GgufFile actual) throws IOException {
        assertEquals(
                List.copyOf(expected.metadata().keys()),
                List.copyOf(actual.metadata().keys()));
        for (String key : expected.metadata().keys()) {
            assertEquals(expected.metadata().type(key), actual.metadata().type(key), key);
            assertEquals(expected.metadata().elementType(key), actual.metadata().elementType(key), key);
            assertEquals(expected.metadata().value(key), actual.metadata().value(key), key);
        }
        assertEquals(expected.tensors().size(), actual.tensors().size());
        for (int i = 0; i < expected.tensors().size(); i++) {
            GgufTensor one = expected.tensors().get(i);
            GgufTensor other = actual.tensors().get(i);
            assertEquals(one.name(), other.name());
            assertEquals(one.type(), other.type());
            assertEquals(one.shape(), other.shape());
            assertArrayEquals(data(expected, one), data(actual, other), one.name());
        }
    }

    static byte[] data(GgufFile file, GgufTensor tensor) throws IOException {
        byte[] bytes = new byte[Math.toIntExact(tensor.bytes())];
        file.read(tensor, 0, ByteBuffer.wrap(bytes));
        return bytes;
    }
}
