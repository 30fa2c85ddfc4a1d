package io.talaria.engine;

import static io.talaria.engine.SplitRig.assertBits;
import static io.talaria.engine.SplitRig.assumeHere;
import static io.talaria.engine.SplitRig.logits;
import static io.talaria.engine.SplitRig.open;
import static io.talaria.engine.SplitRig.options;
import static io.talaria.engine.SplitRig.tensor;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GoldenModels;
import io.talaria.GoldenModels.Prompt;
import io.talaria.TestData;
import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.bench.SyntheticModel;
import io.talaria.bench.SyntheticShape;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.model.ModelConfig;
import io.talaria.model.Placement;
import io.talaria.model.Placement.LayerPlace;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Attention divided by KV heads, and experts by columns: within the bounds of one device. */
class SplitTensorTest {
    /** Four KV heads, of whose queries two pairs fill a block of 256. */
    private static final SyntheticShape FOUR = new SyntheticShape("four", 256, 3, 8, 4, 128, 1280, 8, 2, 512, 8192);

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "cpu,cpu | nano-Q8_0.gguf",
                "cpu,cpu | nano-F16.gguf",
                "simt:0,simt:0 | nano-Q8_0.gguf",
                "opencl:0,opencl:0 | nano-Q8_0.gguf",
                "cpu,simt:0 | nano-Q8_0.gguf",
                "opencl:0,cpu | nano-Q8_0.gguf"
            })
    void goldenFilesAreWithinTheBounds(String list, String file) throws IOException {
        List<String> names = List.of(list.split(","));
        assumeHere(names);
        Assumptions.assumeTrue(TestData.hasGolden(file), "not tested: there is no golden file " + file);
        boolean fast = list.equals("cpu,cpu");
        List<Device> devices = open(names);
        try (Model model = Model.open(TestData.golden(file))) {
            int heads = model.config().kvHeads();
            int ffn = model.config().ffn();
            Placement placement = tensor(model.config(), List.of(96, ffn - 96), List.of(1, heads - 1));
            for (int chunk : new int[] {1, 7, 40}) {
                Prompt whole = GoldenModels.prompts(file).getFirst();
                Prompt prompt = fast ? whole.first(150) : whole.first(chunk == 1 ? 8 : 40);
                for (Activations mode : List.of(Activations.HALF, Activations.INT8)) {
                    float[][] computed = logits(model, devices, placement, prompt, chunk, options(mode, prompt, chunk));
                    String how = list + " " + mode + ", chunk " + chunk;
                    if (mode == Activations.HALF) {
                        GoldenBounds.assertHalf(prompt, computed, how);
                    } else if (GoldenBounds.isEnoughForInt8(prompt)) {
                        GoldenBounds.assertInt8(prompt, computed, how);
                    }
                }
            }
        } finally {
            devices.forEach(Device::close);
        }
    }

    /** In layers of which some are whole and elsewhere, on devices that have different parts; against the reference. */
    @ParameterizedTest
    @ValueSource(strings = {"cpu,cpu,cpu,cpu", "simt:0,cpu,simt:0,opencl:0"})
    void fourDevicesDoWhatTheReferenceDoes(String list) throws IOException {
        List<String> names = List.of(list.split(","));
        assumeHere(names);
        int[] tokens = IntStream.range(0, 21).map(i -> 3 + i * 19 % 500).toArray();
        int[] rows = IntStream.range(0, tokens.length).toArray();
        Prompt prompt = new Prompt(FOUR.name(), 0, tokens, rows, null, null);
        List<Integer> columns = List.of(256, 512, 512, 0);
        List<Integer> heads = List.of(1, 1, 2, 0);
        LayerPlace elsewhere = new LayerPlace(3, List.of(0, 1, 2, 3, 0, 1, 2, 3));
        List<LayerPlace> places =
                List.of(LayerPlace.tensor(0, columns, heads), elsewhere, LayerPlace.tensor(2, columns, heads));
        List<Device> devices = open(names);
        try (Model model = SyntheticModel.open(FOUR, Recipe.Q8_0);
                Device reference = Backends.open("reference")) {
            float[][] expected = logits(
                    model,
                    List.of(reference),
                    Placement.single(model.config()),
                    prompt,
                    21,
                    options(Activations.EXACT, prompt, 21));
            for (int chunk : new int[] {1, 9}) {
                DecoderOptions half = options(Activations.HALF, prompt, chunk);
                float[][] computed = logits(model, devices, new Placement(places), prompt, chunk, half);
                Prompt answered = new Prompt(FOUR.name(), 0, tokens, rows, expected, null);
                double median = GoldenModels.median(answered.errors(computed));
                assertTrue(median <= GoldenBounds.HALF, list + ", chunk " + chunk + ": " + median);
            }
        } finally {
            devices.forEach(Device::close);
        }
    }

    @Test
    void theSameBitsInAnyBatch() throws IOException {
        int[] tokens = IntStream.range(0, 30).map(i -> 3 + i * 7 % 500).toArray();
        Prompt prompt =
                new Prompt(FOUR.name(), 0, tokens, IntStream.range(0, 30).toArray(), null, null);
        List<Device> devices = open(List.of("cpu", "cpu"));
        try (Model model = SyntheticModel.open(FOUR, Recipe.Q6_K)) {
            Placement placement = tensor(model.config(), List.of(512, 768), List.of(2, 2));
            float[][] expected = null;
            for (int chunk : new int[] {30, 30, 1, 7}) {
                DecoderOptions options =
                        options(Activations.INT8, prompt, chunk).withBatchInvariance();
                float[][] computed = logits(model, devices, placement, prompt, chunk, options);
                expected = expected == null ? computed : expected;
                assertBits(expected, computed, "chunk " + chunk);
            }
        } finally {
            devices.forEach(Device::close);
        }
    }

    @Test
    void whatCannotBeDividedSoIsRefused() throws IOException {
        List<Device> devices = open(List.of("cpu", "cpu"));
        try (Model model = SyntheticModel.open(FOUR, Recipe.Q6_K)) {
            ModelConfig config = model.config();
            List<Integer> half = List.of(512, 768);
            refused(model, devices, "has 5 KV heads where the model has 4", tensor(config, half, List.of(2, 3)));
            refused(model, devices, "a number of KV heads", tensor(config, half, List.of(4)));
            refused(model, devices, "a number of KV heads", tensor(config, half, List.of(5, -1)));
            refused(model, devices, "KV heads where it has no columns", tensor(config, half, List.of(4, 0)));
            refused(model, devices, "the home has none", tensor(config, List.of(0, 1280), List.of(0, 4)));
            refused(
                    model,
                    devices,
                    "has to divide the experts' columns too",
                    new Placement(Collections.nCopies(
                            3, new LayerPlace(0, Collections.nCopies(8, 0), List.of(), List.of(2, 2)))));
            List<LayerPlace> mixed =
                    new ArrayList<>(tensor(config, half, List.of(2, 2)).layers());
            mixed.set(2, LayerPlace.tensor(0, half, List.of(1, 3)));
            refused(model, devices, "has as many in each layer", new Placement(mixed));
            mixed.set(2, LayerPlace.divided(0, half));
            refused(model, devices, "has 4 KV heads where it has 2", new Placement(mixed));
        }
        SyntheticShape two = new SyntheticShape("two", 256, 1, 4, 2, 64, 512, 8, 2, 512, 8192);
        try (Model model = SyntheticModel.open(two, Recipe.Q6_K)) { // a KV head's queries fill half a block
            refused(model, devices, "begin within a block", tensor(model.config(), List.of(256, 256), List.of(1, 1)));
        } finally {
            devices.forEach(Device::close);
        }
    }

    private static void refused(Model model, List<Device> devices, String words, Placement placement) {
        DecoderOptions options = DecoderOptions.of(Activations.INT8, TensorType.F16, 1, 1);
        DeviceException refused = assertThrows(
                DeviceException.class, () -> Decoder.load(model, devices, placement, options, LoadProgress.NONE));
        assertTrue(refused.getMessage().contains(words), refused.getMessage() + " does not say: " + words);
    }

    /** Every row of every device's cache and weights is somewhere once, whichever way heads are dealt. */
    @Test
    void cachesAreDividedToo() throws IOException {
        List<Device> devices = open(List.of("cpu", "cpu"));
        try (Model model = SyntheticModel.open(FOUR, Recipe.Q8_0)) {
            DecoderOptions options = DecoderOptions.of(Activations.INT8, TensorType.F16, 4, 4);
            Placement placement = tensor(model.config(), List.of(512, 768), List.of(1, 3));
            try (Decoder decoder = Decoder.load(model, devices, placement, options, LoadProgress.NONE)) {
                long[] kv = devices.stream()
                        .mapToLong(device -> device.memory().kv())
                        .toArray();
                assertEquals(3 * kv[0], kv[1], Arrays.toString(kv));
            }
        } finally {
            devices.forEach(Device::close);
        }
    }
}
