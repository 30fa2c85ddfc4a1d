package io.talaria.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.talaria.GoldenModels.Prompt;
import io.talaria.TestData;
import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.backend.OpenOptions;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.model.ModelConfig;
import io.talaria.model.Placement;
import io.talaria.model.Placement.LayerPlace;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assumptions;

/** Models over several devices, and placements of all kinds. */
final class SplitRig {
    private static final OpenOptions ONE_THREAD = new OpenOptions(1);

    private SplitRig() {}

    /** Devices of the names, opened. */
    static List<Device> open(List<String> names) {
        return names.stream().map(name -> Backends.open(name, ONE_THREAD)).toList();
    }

    /** The logits of a prompt's known rows, {@code [row][V]}. */
    static float[][] logits(
            Model model, List<Device> devices, Placement placement, Prompt prompt, int chunk, DecoderOptions base)
            throws IOException {
        try (Decoder decoder = Decoder.load(model, devices, placement, base, LoadProgress.NONE)) {
            return logits(decoder, prompt, chunk);
        }
    }

    static float[][] logits(Decoder decoder, Prompt prompt, int chunk) throws IOException {
        List<float[]> rows = new ArrayList<>();
        PromptLogits.run(
                decoder,
                List.of(prompt.tokens()),
                chunk,
                position -> Arrays.binarySearch(prompt.rows(), position) >= 0,
                (position, logits) -> {
                    float[] row = new float[logits.remaining()];
                    logits.get(row);
                    rows.add(row);
                });
        return rows.toArray(float[][]::new);
    }

    static DecoderOptions options(Activations activations, Prompt prompt, int chunk) {
        int blocks = DecoderOptions.blocksFor(prompt.tokens().length);
        return DecoderOptions.of(activations, TensorType.F16, blocks, chunk).withLogits();
    }

    static Placement layers(ModelConfig config, int devices) {
        return new Placement(IntStream.range(0, config.layers())
                .mapToObj(layer -> LayerPlace.whole(layer * devices / config.layers(), config.experts()))
                .toList());
    }

    static Placement experts(ModelConfig config, int devices) {
        List<Integer> turns =
                IntStream.range(0, config.experts()).mapToObj(e -> e % devices).toList();
        return new Placement(IntStream.range(0, config.layers())
                .mapToObj(layer -> new LayerPlace(0, turns))
                .toList());
    }

    /** Any device may be a layer's home, and any have any of its experts, or none of them. */
    static Placement any(ModelConfig config, int devices, Random random) {
        List<LayerPlace> places = new ArrayList<>();
        for (int layer = 0; layer < config.layers(); layer++) {
            int among = 1 + random.nextInt(devices);
            List<Integer> experts = new ArrayList<>();
            for (int expert = 0; expert < config.experts(); expert++) {
                experts.add((devices - 1 + random.nextInt(among)) % devices);
            }
            places.add(new LayerPlace(random.nextInt(devices), experts));
        }
        return new Placement(places);
    }

    static void assertBits(float[][] expected, float[][] computed, Object what) {
        assertEquals(expected.length, computed.length);
        for (int row = 0; row < expected.length; row++) {
            assertArrayEquals(expected[row], computed[row], what + ", row " + row);
        }
    }

    static void bitsOfOne(String file, Prompt prompt, List<String> names, Activations mode, int chunk)
            throws IOException {
        List<Device> devices = open(names);
        try (Model model = Model.open(TestData.golden(file))) {
            DecoderOptions options = options(mode, prompt, chunk);
            List<Device> one = devices.subList(0, 1);
            float[][] expected = logits(model, one, Placement.single(model.config()), prompt, chunk, options);
            for (Placement placement : List.of(
                    experts(model.config(), devices.size()),
                    layers(model.config(), devices.size()),
                    any(model.config(), devices.size(), new Random(3)))) {
                assertBits(expected, logits(model, devices, placement, prompt, chunk, options), placement);
            }
        } finally {
            devices.forEach(Device::close);
        }
    }

    /** Every layer's experts by columns, as many for each device. */
    static Placement columns(ModelConfig config, List<Integer> each) {
        return new Placement(Collections.nCopies(config.layers(), LayerPlace.divided(0, each)));
    }

    /** Every layer's experts by columns and attention by KV heads, as many for each device. */
    static Placement tensor(ModelConfig config, List<Integer> columns, List<Integer> kvHeads) {
        return new Placement(Collections.nCopies(config.layers(), LayerPlace.tensor(0, columns, kvHeads)));
    }

    /** Skips a test that needs a device that is not here. */
    static void assumeHere(List<String> names) {
        for (String name : names) {
            String backend = name.split(":")[0];
            boolean here = Backends.all().stream()
                    .anyMatch(b -> b.name().equals(backend) && b.unavailable().isEmpty());
            Assumptions.assumeTrue(here, "not tested: there is no device " + name);
        }
    }
}
