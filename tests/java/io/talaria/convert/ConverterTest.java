package io.talaria.convert;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.TestData;
import io.talaria.gguf.GgufTensor;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import io.talaria.safetensors.SafetensorsException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConverterTest {
    @TempDir
    private Path temporary;

    private Path folder;
    private Path out;

    @BeforeEach
    void folders() throws IOException {
        folder = Files.createDirectory(temporary.resolve("a model"));
        out = Files.createDirectory(temporary.resolve("out")).resolve("x.gguf");
    }

    private Model original() throws IOException {
        return Model.open(TestData.golden("nano-Q4_K_M.gguf"));
    }

    private void convert(Recipe recipe) throws IOException {
        try (Converter converter = Converter.open(folder, recipe)) {
            converter.write(out, 3, LoadProgress.NONE);
        }
    }

    private void writeFolder(boolean stacked, Consumer<HfWriter> change) throws IOException {
        try (Model model = original()) {
            HfWriter writer = new HfWriter(model, stacked);
            change.accept(writer);
            writer.write(folder);
        }
    }

    @Test
    void aModelComesBackAsItWas() throws IOException {
        writeFolder(false, writer -> {});
        comesBack();
    }

    @Test
    void stackedExpertsAreTakenApart() throws IOException {
        writeFolder(true, writer -> {});
        comesBack();
    }

    private void comesBack() throws IOException {
        convert(null);
        try (Model model = original();
                Model converted = Model.open(out)) {
            assertEquals(model.config(), converted.config());
            assertEquals(
                    model.file().tensors().size(), converted.file().tensors().size());
            for (GgufTensor tensor : model.file().tensors()) {
                GgufTensor same = converted.file().tensor(tensor.name()).orElseThrow();
                assertEquals(TensorType.F32, same.type());
                assertEquals(tensor.shape(), same.shape());
                assertArrayEquals(
                        HfWriter.values(model.file(), tensor), HfWriter.values(converted.file(), same), tensor.name());
            }
            assertEquals(
                    "a model",
                    converted.file().metadata().string("general.name").orElseThrow());
        }
    }

    /** The bytes do not depend on the number of threads, and norms and routers stay as they are. */
    @Test
    void quantisedBytesAreThoseOfTheirRows() throws IOException {
        writeFolder(false, writer -> {});
        convert(Recipe.Q8_0);
        byte[] three = Files.readAllBytes(out);
        try (Converter converter = Converter.open(folder, Recipe.Q8_0)) {
            converter.write(out, 1, LoadProgress.NONE);
        }
        assertArrayEquals(three, Files.readAllBytes(out));
        try (Model converted = Model.open(out)) {
            for (GgufTensor tensor : converted.file().tensors()) {
                boolean plain = tensor.name().contains("norm") || tensor.name().contains("ffn_gate_inp");
                assertEquals(plain ? TensorType.F32 : TensorType.Q8_0, tensor.type(), tensor.name());
            }
        }
    }

    @Test
    void tiedEmbeddingsNeedNoOutput() throws IOException {
        writeFolder(false, writer -> writer.config.put("tie_word_embeddings", true));
        convert(null);
        try (Model converted = Model.open(out)) {
            assertTrue(converted.file().tensor("output.weight").isEmpty());
        }
    }

    @Test
    void whatTalariaDoesNotRunIsRefused() throws IOException {
        refused("'architectures' does not name MixtralForCausalLM", "architectures", List.of("LlamaForCausalLM"));
        refused("another function than silu", "hidden_act", "gelu");
        refused("'sliding_window' is smaller than the context", "sliding_window", 4096);
        refused("asks for scaled RoPE", "rope_scaling", Map.of("type", "linear"));
        refused("asks for scaled RoPE", "rope_parameters", Map.of("rope_theta", 1e6, "rope_type", "yarn"));
        refused("'rope_parameters.rope_theta' is missing", "rope_parameters", Map.of("rope_type", "default"));
        refused("'vocab_size' is not a count", "vocab_size", "512");
        refused("'num_hidden_layers' is not a count", "num_hidden_layers", 0);
        refused("has shape [512, 256] where config.json calls for [513, 256]", "vocab_size", 513);
        refused("'model.layers.2.input_layernorm.weight' is missing", "num_hidden_layers", 3);
        refused("'model.layers.1.input_layernorm.weight' is no part", "num_hidden_layers", 1);
        refused("'head_dim' is 63", "head_dim", 63);
        assertFalse(Files.exists(out));
    }

    private void refused(String sentence, String field, Object value) throws IOException {
        writeFolder(false, writer -> writer.config.put(field, value));
        SafetensorsException e = assertThrows(SafetensorsException.class, () -> convert(null));
        assertTrue(e.getMessage().contains(sentence), e.getMessage());
    }

    @Test
    void nothingIsLeftBehindByAFailure() throws IOException {
        writeFolder(false, writer -> {});
        Converter converter = Converter.open(folder, null);
        Path weights = folder.resolve("model.safetensors");
        try (converter;
                FileChannel channel = FileChannel.open(weights, StandardOpenOption.WRITE)) {
            channel.truncate(Files.size(weights) / 2);
            IOException e = assertThrows(IOException.class, () -> converter.write(out, 2, LoadProgress.NONE));
            assertTrue(e.getMessage().contains("became shorter"), e.getMessage());
        }
        try (Stream<Path> files = Files.list(out.getParent())) {
            assertEquals(0, files.count());
        }
    }
}
