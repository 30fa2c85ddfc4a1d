package io.talaria.engine;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GoldenModels;
import io.talaria.GoldenModels.Prompt;
import io.talaria.TestData;
import io.talaria.backend.Activations;
import io.talaria.convert.Converter;
import io.talaria.engine.LogitsRunner.Setting;
import io.talaria.model.LoadProgress;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A converted Hugging Face folder against the logits that transformers computes of it in float64. */
class HfGoldenTest {
    @TempDir
    private Path folder;

    private Prompt convert(Recipe recipe) throws IOException {
        Path golden = TestData.golden("hf-nano");
        Path file = folder.resolve("hf-nano.gguf").toAbsolutePath();
        try (Converter converter = Converter.open(golden, recipe)) {
            converter.write(file, 2, LoadProgress.NONE);
        }
        JsonNode expected = JsonMapper.builder().build().readTree(golden.resolve("expected.json"));
        int[] tokens =
                expected.get("tokens").valueStream().mapToInt(JsonNode::asInt).toArray();
        float[][] logits = new float[tokens.length][expected.get("shape").get(1).asInt()];
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(golden.resolve("logits.f32")))
                .order(ByteOrder.LITTLE_ENDIAN);
        for (float[] row : logits) {
            bytes.asFloatBuffer().get(row);
            bytes.position(bytes.position() + row.length * Float.BYTES);
        }
        int[] rows = IntStream.range(0, tokens.length).toArray();
        return new Prompt(file.toString(), 0, tokens, rows, logits, null);
    }

    @Test
    void theReferenceComputesTheSame() throws IOException {
        for (Recipe recipe : new Recipe[] {null, Recipe.F32}) {
            Prompt prompt = convert(recipe);
            Setting exact = Setting.of("reference", Activations.EXACT, TensorType.F32);
            double worst = GoldenModels.largest(prompt.errors(LogitsRunner.logits(prompt, exact)));
            assertTrue(worst <= 1e-12, recipe + ": " + worst);
        }
    }

    @Test
    void theProcessorStaysWithinTheBoundOfDevices() throws IOException {
        Prompt prompt = convert(null);
        Setting half = Setting.of("cpu", Activations.HALF, TensorType.F16);
        double median = GoldenModels.median(prompt.errors(LogitsRunner.logits(prompt, half)));
        assertTrue(median <= 1.5e-6, "median " + median);
    }
}
