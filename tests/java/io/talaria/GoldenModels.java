package io.talaria;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The golden models: small random Mixtrals with logits that were computed outside this project, in float64 from the
 * dequantised weights.
 */
public final class GoldenModels {
    /** Every golden file. */
    public static final List<String> FILES = List.of(
            "nano-F16.gguf",
            "nano-Q8_0.gguf",
            "nano-Q6_K.gguf",
            "nano-Q4_K_M.gguf",
            "nano-split-Q4_K_M.gguf",
            "gqa128-Q8_0.gguf",
            "gqa128-Q4_K_M.gguf",
            "wide-Q6_K.gguf",
            "wide-Q4_K_M.gguf");

    private GoldenModels() {}

    /**
     * One prompt of one file.
     *
     * @param rows the positions whose logits are known
     * @param logits {@code [rows][vocabulary]}
     */
    public record Prompt(
            String file, int number, int[] tokens, int[] rows, float[][] logits, JsonNode int8Activations) {
        /** The same prompt, cut off. */
        public Prompt first(int tokenCount) {
            if (tokenCount >= tokens.length) {
                return this;
            }
            int[] kept = IntStream.of(rows).filter(row -> row < tokenCount).toArray();
            float[][] keptLogits = Arrays.copyOf(logits, kept.length);
            int[] cut = Arrays.copyOf(tokens, tokenCount);
            return new Prompt(file, number, cut, kept, keptLogits, int8Activations);
        }

        /** The median row error that int8 activations alone cause, in blocks of this size; nothing for F16 files. */
        public Optional<Double> int8Median(int block) {
            JsonNode stated = int8Activations.get(Integer.toString(block));
            return Optional.ofNullable(stated)
                    .map(node -> node.get("median_row_nmse").asDouble());
        }

        public int int8RowsOver(int block) {
            return int8Activations
                    .get(Integer.toString(block))
                    .get("rows_over_1e-2")
                    .asInt();
        }

        /** Errors per known row of logits that were computed for all positions or, as {@code [row]}, for the known. */
        public double[] errors(float[][] computed) {
            double[] errors = new double[rows.length];
            for (int i = 0; i < rows.length; i++) {
                errors[i] = nmse(computed[i], logits[i]);
            }
            return errors;
        }
    }

    /** The prompts of a golden file; those whose data is not here abort the test. */
    public static List<Prompt> prompts(String file) throws IOException {
        String model = file.startsWith("nano-split") ? "nano-split" : file.substring(0, file.indexOf('-'));
        JsonNode json = JsonMapper.builder()
                .build()
                .readTree(TestData.golden(model + ".json").toFile());
        int vocabulary = json.get("vocab_size").asInt();
        JsonNode entries = json.get("files").get(file).get("logits");
        List<Prompt> prompts = new ArrayList<>();
        for (int i = 0; i < entries.size(); i++) {
            int[] tokens = ints(json.get("prompts").get(i).get("tokens"));
            JsonNode rows = entries.get(i).get("rows");
            int[] known = rows.isString() ? IntStream.range(0, tokens.length).toArray() : ints(rows);
            Path data = TestData.golden(entries.get(i).get("file").asString());
            float[][] logits = read(data, known.length, vocabulary);
            prompts.add(
                    new Prompt(file, i, tokens, known, logits, entries.get(i).get("int8_activations")));
        }
        return prompts;
    }

    private static int[] ints(JsonNode array) {
        int[] numbers = new int[array.size()];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = array.get(i).asInt();
        }
        return numbers;
    }

    private static float[][] read(Path path, int rows, int columns) throws IOException {
        FloatBuffer all = ByteBuffer.wrap(Files.readAllBytes(path))
                .order(ByteOrder.LITTLE_ENDIAN)
                .asFloatBuffer();
        float[][] values = new float[rows][columns];
        for (float[] row : values) {
            all.get(row);
        }
        return values;
    }

    /** Normalised mean squared error; infinite if anything is not a number. */
    public static double nmse(float[] computed, float[] expected) {
        double error = 0;
        double power = 0;
        for (int i = 0; i < expected.length; i++) {
            double difference = (double) computed[i] - expected[i];
            error += difference * difference;
            power += (double) expected[i] * expected[i];
        }
        double result = error / power;
        return Double.isFinite(result) ? result : Double.POSITIVE_INFINITY;
    }

    public static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    public static double largest(double[] values) {
        return Arrays.stream(values).max().orElseThrow();
    }
}
