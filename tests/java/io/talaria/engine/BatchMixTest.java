package io.talaria.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.talaria.TestData;
import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.Device;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * In batch-invariant mode every logit of a text is the same to the bit in any batch: 100 random mixes of texts, cut into
 * random chunks, some behind beginnings that were computed for others.
 */
class BatchMixTest {
    private static final int MIXES = 25;
    private static final int TEXTS = 10;
    private static final int LONGEST = 70;
    private static final int ROWS = 80;
    private static final int BLOCKS = DecoderOptions.blocksFor(LONGEST);

    private final SplittableRandom random = new SplittableRandom(31);
    private Decoder decoder;
    private KvPool pool;

    /** A text of which the logits of every position are known. */
    private record Text(int[] tokens, float[][] logits) {}

    /** A text in a mix, up to some length. */
    private record Part(Text text, int length, Sequence sequence) {
        int left() {
            return length - sequence.length();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "cpu:0, nano-Q4_K_M.gguf, HALF, F16",
        "cpu:0, nano-Q4_K_M.gguf, INT8, Q8_0",
        "cpu:0, wide-Q6_K.gguf, HALF, Q8_0",
        "cpu:0, wide-Q6_K.gguf, INT8, F16",
        "opencl:0, nano-Q4_K_M.gguf, HALF, Q8_0",
        "opencl:0, nano-Q4_K_M.gguf, INT8, F16",
        "simt:0, nano-Q4_K_M.gguf, INT8, F16",
        "simt:0, wide-Q6_K.gguf, HALF, Q8_0"
    })
    void everyMixGivesTheBitsOfEachTextAlone(String name, String file, Activations activations, TensorType kv)
            throws IOException {
        boolean here = Backends.all().stream()
                .flatMap(backend -> backend.devices().stream())
                .anyMatch(info -> info.device().equals(name));
        assumeTrue(here, () -> "not tested: " + name + " is not here");
        boolean slow = LogitsRunner.slow(name);
        DecoderOptions options = DecoderOptions.of(activations, kv, 6 * BLOCKS, ROWS)
                .withLogits()
                .withBatchInvariance();
        try (Model model = Model.open(TestData.golden(file));
                Device device = Backends.open(name);
                Decoder loaded = Decoder.load(model, device, options, LoadProgress.NONE)) {
            decoder = loaded;
            List<Text> texts = new ArrayList<>();
            for (int i = 0; i < TEXTS; i++) {
                texts.add(alone(EngineRig.random(random, LONGEST)));
            }
            pool = new KvPool(options.kvBlocks());
            int reused = 0;
            for (int mix = 0; mix < (slow ? 2 : MIXES); mix++) {
                reused += run(texts, file + " " + activations + ", mix " + mix);
            }
            assertTrue(reused > 0 || slow, "no beginning was ever reused");
        }
    }

    /** All positions in one batch. */
    private Text alone(int[] tokens) {
        pool = new KvPool(BLOCKS);
        Part whole = new Part(new Text(tokens, new float[tokens.length][]), tokens.length, new Sequence(pool));
        step(List.of(whole), new int[] {tokens.length}, ROWS, (part, position, logits) -> {
            part.text().logits()[position] = logits;
        });
        return whole.text();
    }

    /** Runs a random mix to its end. Returns how many positions came from the cache. */
    private int run(List<Text> texts, String name) {
        List<Part> parts = new ArrayList<>();
        int reused = 0;
        for (int i = 1 + random.nextInt(5); i > 0; i--) {
            Text text = texts.get(random.nextInt(TEXTS));
            int length = 1 + random.nextInt(LONGEST);
            Sequence sequence = new Sequence(pool);
            reused += sequence.adopt(text.tokens(), length - 1);
            parts.add(new Part(text, length, sequence));
        }
        List<Part> all = List.copyOf(parts);
        int longestChunk = 1 + random.nextInt(ROWS / 5);
        while (!parts.isEmpty()) {
            int[] rows = new int[parts.size()];
            int sum = 0;
            for (int i = 0; i < rows.length; i++) {
                rows[i] = random.nextInt(Math.min(longestChunk, parts.get(i).left()) + 1);
                sum += rows[i];
            }
            if (sum > 0) {
                step(parts, rows, sum + random.nextInt(ROWS - sum + 1), (part, position, logits) -> {
                    String where = name + ", position " + position + " of " + part.length();
                    assertArrayEquals(part.text().logits()[position], logits, where);
                });
                parts.removeIf(part -> part.left() == 0);
            }
        }
        all.forEach(part -> part.sequence().end());
        return reused;
    }

    private interface Check {
        void row(Part part, int position, float[] logits);
    }

    /** One batch with the next rows of each part. */
    private void step(List<Part> parts, int[] rows, int capacity, Check check) {
        Batch batch = new Batch(new BatchShape(capacity, capacity, parts.size(), BLOCKS, 0, 0, 0));
        List<Integer> begins = new ArrayList<>();
        for (int table = 0; table < parts.size(); table++) {
            Sequence sequence = parts.get(table).sequence();
            begins.add(sequence.length());
            sequence.place(batch, table, rows[table]);
            for (int i = 0; i < rows[table]; i++) {
                int token = parts.get(table).text().tokens()[sequence.length()];
                batch.addWanted(sequence.add(batch, table, token));
            }
        }
        decoder.run(batch);
        FloatBuffer logits = decoder.logits(batch.wanted());
        for (int table = 0; table < parts.size(); table++) {
            for (int i = 0; i < rows[table]; i++) {
                float[] row = new float[decoder.config().vocabulary()];
                logits.get(row);
                check.row(parts.get(table), begins.get(table) + i, row);
            }
            parts.get(table).sequence().publish(parts.get(table).text().tokens());
        }
    }
}
