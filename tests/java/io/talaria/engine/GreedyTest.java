package io.talaria.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GoldenModels;
import io.talaria.GoldenModels.Prompt;
import io.talaria.TestData;
import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GreedyTest {
    private static final String FILE = "nano-Q4_K_M.gguf";

    private interface Body {
        void accept(Greedy greedy);
    }

    private static void withGreedy(String device, int kvBlocks, int chunk, Body body) throws IOException {
        boolean exact = device.equals("reference");
        DecoderOptions options = DecoderOptions.of(
                exact ? Activations.EXACT : Activations.HALF, exact ? TensorType.F32 : TensorType.F16, kvBlocks, chunk);
        try (Model model = Model.open(TestData.golden(FILE));
                Device opened = Backends.open(device);
                Decoder decoder = Decoder.load(model, opened, options, LoadProgress.NONE)) {
            body.accept(new Greedy(decoder, chunk));
        }
    }

    private static List<Integer> generate(Greedy greedy, int[] prompt, int count) {
        List<Integer> tokens = new ArrayList<>();
        greedy.generate(greedy.read(prompt), token -> {
            tokens.add(token);
            return tokens.size() < count;
        });
        return tokens;
    }

    private static int argMax(float[] logits) {
        int best = 0;
        for (int i = 1; i < logits.length; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        return best;
    }

    @ParameterizedTest
    @ValueSource(strings = {"reference", "cpu"})
    void theNextTokenIsThatOfTheGoldenLogits(String device) throws IOException {
        for (Prompt prompt : GoldenModels.prompts(FILE).subList(0, 2)) {
            int expected = argMax(prompt.logits()[prompt.logits().length - 1]);
            withGreedy(device, 8, 10, greedy -> assertEquals(expected, greedy.read(prompt.tokens())));
        }
    }

    @Test
    void devicesAndChunksWriteTheSameText() throws IOException {
        int[] prompt = GoldenModels.prompts(FILE).getFirst().tokens();
        List<List<Integer>> texts = new ArrayList<>();
        withGreedy("reference", 8, 64, greedy -> texts.add(generate(greedy, prompt, 40)));
        withGreedy("cpu", 8, 7, greedy -> {
            texts.add(generate(greedy, prompt, 40));
            greedy.reset();
            texts.add(generate(greedy, prompt, 40));
        });
        assertEquals(40, texts.getFirst().size());
        assertEquals(1, texts.stream().distinct().count(), texts::toString);
    }

    @Test
    void aFullContextIsSaidClearly() throws IOException {
        int[] prompt = GoldenModels.prompts(FILE).getFirst().tokens();
        withGreedy("cpu", 2, 16, greedy -> {
            ContextFullException full = assertThrows(ContextFullException.class, () -> generate(greedy, prompt, 100));
            assertEquals(2 * DecoderOptions.POSITIONS_PER_BLOCK, greedy.length());
            assertTrue(full.getMessage().contains("64 tokens"), full.getMessage());
            greedy.reset();
            assertEquals(1, generate(greedy, prompt, 1).size());
        });
    }
}
