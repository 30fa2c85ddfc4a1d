package io.talaria.engine;

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
import java.util.Arrays;
import java.util.List;

/** Runs prompts of golden files as the {@code logits} command does. */
final class LogitsRunner {
    /** Whether a device is the emulator, on which a token takes a hundred times as long. */
    static boolean isEmulated(String device) {
        return device.startsWith("simt")
                || device.startsWith("metal") && "1".equals(System.getenv("TALARIA_METAL_EMULATED"));
    }

    /** The emulator, and OpenCL, which in continuous integration has a processor to run on. */
    static boolean slow(String device) {
        return isEmulated(device) || device.startsWith("opencl");
    }

    /** How to run. */
    record Setting(
            String device, Activations activations, TensorType kv, int chunk, int[] company, boolean batchInvariant) {
        static Setting of(String device, Activations activations, TensorType kv) {
            return new Setting(device, activations, kv, Integer.MAX_VALUE, null, false);
        }

        Setting chunk(int tokens) {
            return new Setting(device, activations, kv, tokens, company, batchInvariant);
        }

        Setting with(int[] other) {
            return new Setting(device, activations, kv, chunk, other, batchInvariant);
        }

        Setting invariant() {
            return new Setting(device, activations, kv, chunk, company, true);
        }

        @Override
        public String toString() {
            return device + ", " + activations + ", KV " + kv + ", chunk " + chunk
                    + (company == null ? ", alone" : ", with " + company.length + " tokens");
        }
    }

    /**
     * A way to run a prompt: so many tokens per chunk, alone or with another prompt, and of long prompts so many tokens
     * only, so that all ways together take minutes and not an hour. Every prompt runs to its end in one of them.
     */
    record Way(int chunk, boolean company, int limit) {
        static final List<Way> ALL = List.of(
                new Way(1, false, 150),
                new Way(1, true, 50),
                new Way(7, false, 600),
                new Way(7, true, 150),
                new Way(Integer.MAX_VALUE, true, 600),
                new Way(Integer.MAX_VALUE, false, Integer.MAX_VALUE));

        /** Those for a device. On slow ones, where a token takes up to a hundred times as long, a few; ci/test.sh --all has all. */
        static List<Way> of(String device) {
            if (!slow(device) || Boolean.getBoolean("talaria.all")) {
                return ALL;
            }
            // The short prompts whole: what is stated of their medians holds for all of their rows.
            return List.of(new Way(1, false, 40), new Way(7, true, 40), new Way(Integer.MAX_VALUE, false, 100));
        }

        Setting apply(Setting setting, int[] other) {
            Setting chunked = setting.chunk(chunk);
            return company ? chunked.with(other) : chunked;
        }
    }

    private LogitsRunner() {}

    /** The logits of the prompt's known rows. */
    static float[][] logits(Prompt prompt, Setting setting) throws IOException {
        List<int[]> lists = new ArrayList<>(List.of(prompt.tokens()));
        if (setting.company() != null) {
            lists.add(setting.company());
        }
        int longest = lists.stream().mapToInt(list -> list.length).max().orElseThrow();
        int chunk = Math.min(setting.chunk(), longest);
        int blocks = lists.stream()
                .mapToInt(list -> DecoderOptions.blocksFor(list.length))
                .sum();
        DecoderOptions options = DecoderOptions.of(setting.activations(), setting.kv(), blocks, chunk * lists.size())
                .withLogits();
        if (setting.batchInvariant()) {
            options = options.withBatchInvariance();
        }
        List<float[]> rows = new ArrayList<>();
        try (Model model = Model.open(TestData.golden(prompt.file()));
                Device device = Backends.open(setting.device());
                Decoder decoder = Decoder.load(model, device, options, LoadProgress.NONE)) {
            PromptLogits.run(
                    decoder,
                    lists,
                    chunk,
                    position -> Arrays.binarySearch(prompt.rows(), position) >= 0,
                    (position, logits) -> {
                        float[] row = new float[logits.remaining()];
                        logits.get(row);
                        rows.add(row);
                    });
        }
        return rows.toArray(float[][]::new);
    }
}
