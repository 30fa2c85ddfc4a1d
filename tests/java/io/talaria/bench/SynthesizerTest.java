package io.talaria.bench;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.TensorSource;
import io.talaria.gguf.GgufFile;
import io.talaria.model.ExpertLayout;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.quant.Quant;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import io.talaria.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class SynthesizerTest {
    private static final SyntheticShape NANO = SyntheticShape.preset("nano").orElseThrow();

    @TempDir
    private Path folder;

    private Path write(Recipe recipe, ExpertLayout layout) throws IOException {
        Path file = folder.resolve(recipe + "-" + layout + ".gguf");
        Synthesizer.write(file, NANO, recipe, layout, LoadProgress.NONE);
        return file;
    }

    private static float[] decode(TensorSource source) throws IOException {
        int elements = Math.toIntExact(source.shape().elements());
        byte[] bytes = new byte[Math.toIntExact(source.type().bytes(elements))];
        source.read(0, ByteBuffer.wrap(bytes));
        float[] values = new float[elements];
        Quant.decode(source.type(), bytes, 0, values, 0, elements);
        return values;
    }

    /** Mean and deviation of every matrix are what activations of unit variance need. */
    @ParameterizedTest
    @EnumSource(Recipe.class)
    void weightsHaveTheDeviationThatTheyShould(Recipe recipe) throws IOException {
        try (Model model = Model.open(write(recipe, ExpertLayout.STACKED))) {
            for (TensorSource source : model.sources()) {
                float[] values = decode(source);
                if (source.name().contains("norm")) {
                    assertEquals(1f, values[0]);
                    continue;
                }
                double wanted = wantedDeviation(source);
                double sum = 0;
                double squares = 0;
                for (float value : values) {
                    sum += value;
                    squares += (double) value * value;
                }
                double deviation = Math.sqrt(squares / values.length);
                assertEquals(wanted, deviation, 0.1 * wanted, source.name());
                assertEquals(0, sum / values.length, 0.15 * wanted, source.name());
            }
        }
    }

    private static double wantedDeviation(TensorSource source) {
        double product = 1 / Math.sqrt(source.shape().columns());
        return switch (source.name().replaceAll("blk\\.\\d+\\.", "")) {
            case "token_embd.weight" -> 1;
            case "output.weight" -> 3 * product;
            case "attn_output.weight", "ffn_down_exps.weight" -> product / 2; // two additions in each of two layers
            default -> product;
        };
    }

    @Test
    void bothLayoutsHoldTheSameWeights() throws IOException {
        try (Model stacked = Model.open(write(Recipe.Q4_K_M, ExpertLayout.STACKED));
                Model split = Model.open(write(Recipe.Q4_K_M, ExpertLayout.SPLIT))) {
            assertEquals(ExpertLayout.SPLIT, split.layout());
            for (int i = 0; i < stacked.sources().size(); i++) {
                assertArrayEquals(
                        decode(stacked.sources().get(i)), decode(split.sources().get(i)));
            }
        }
    }

    /** The types that the common tools choose for a Mixtral of 32 layers. */
    @Test
    void theRecipeIsTheRealOne() {
        int more = 0;
        for (int layer = 0; layer < 32; layer++) {
            more += Recipe.Q4_K_M.down(layer, 32) == TensorType.Q6_K ? 1 : 0;
        }
        assertEquals(16, more);
        assertEquals(TensorType.Q6_K, Recipe.Q4_K_M.down(3, 32));
        assertEquals(TensorType.Q4_K, Recipe.Q4_K_M.down(4, 32));
        assertEquals(TensorType.Q6_K, Recipe.Q4_K_M.down(6, 32));
        try {
            GgufFile file = GgufFile.open(write(Recipe.Q4_K_M, ExpertLayout.STACKED));
            try (file) {
                assertEquals(
                        TensorType.Q8_0,
                        file.tensor("blk.0.attn_k.weight").orElseThrow().type());
                assertEquals(
                        TensorType.Q5_K,
                        file.tensor("blk.0.attn_output.weight").orElseThrow().type());
                assertEquals(
                        TensorType.Q6_K,
                        file.tensor("output.weight").orElseThrow().type());
                assertEquals(
                        TensorType.F32,
                        file.tensor("blk.0.ffn_gate_inp.weight").orElseThrow().type());
            }
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void theVocabularyEncodesAnything() throws IOException {
        try (Model model = Model.open(write(Recipe.Q8_0, ExpertLayout.STACKED))) {
            Tokenizer tokenizer = model.tokenizer();
            String text = "Hello, world! Grüße, \u4f60\u597d \ud83d\ude80";
            assertEquals(text, tokenizer.decode(tokenizer.encode(text, true, false)));
            assertEquals(510, tokenizer.special("<|im_end|>").orElseThrow());
            assertTrue(tokenizer.special("<|im_start|>").isPresent());
        }
    }

    @Test
    void shapesThatDoNotFitAreRefused() {
        SyntheticShape odd = new SyntheticShape("own", 96, 1, 2, 1, 48, 96, 4, 2, 512, 64);
        String message = assertThrows(
                        IllegalArgumentException.class,
                        () -> Synthesizer.write(
                                folder.resolve("x"), odd, Recipe.Q4_K_M, ExpertLayout.STACKED, LoadProgress.NONE))
                .getMessage();
        assertTrue(message.contains("Q4_K") && message.contains("256"), message);
        assertThrows(
                IllegalArgumentException.class, () -> new SyntheticShape("own", 96, 1, 3, 2, 32, 96, 4, 2, 512, 64));
    }

    /** The rule of the common tools gives half of the experts' down projections more bits, with few layers too. */
    @ParameterizedTest
    @CsvSource({"32, 16", "2, 1", "4, 2", "8, 4", "16, 8", "1, 1"})
    void halfOfTheDownProjectionsHaveMoreBits(int layers, int more) {
        long count = IntStream.range(0, layers)
                .filter(layer -> Recipe.Q4_K_M.down(layer, layers) == TensorType.Q6_K)
                .count();
        assertEquals(more, count);
        assertEquals(TensorType.Q6_K, Recipe.Q4_K_M.down(layers - 1, layers));
    }
}
