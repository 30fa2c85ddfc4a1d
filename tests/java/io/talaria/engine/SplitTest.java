package io.talaria.engine;

import static io.talaria.engine.SplitRig.any;
import static io.talaria.engine.SplitRig.assertBits;
import static io.talaria.engine.SplitRig.assumeHere;
import static io.talaria.engine.SplitRig.bitsOfOne;
import static io.talaria.engine.SplitRig.columns;
import static io.talaria.engine.SplitRig.experts;
import static io.talaria.engine.SplitRig.layers;
import static io.talaria.engine.SplitRig.logits;
import static io.talaria.engine.SplitRig.open;
import static io.talaria.engine.SplitRig.options;
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
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.model.ModelConfig;
import io.talaria.model.Placement;
import io.talaria.model.Placement.LayerPlace;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A model over several devices: the same bits as on one of the same kind, whoever has which experts and layers; and within
 * the bounds of one device where kinds are mixed or experts divided.
 */
class SplitTest {
    private static final String NANO = "nano-Q4_K_M.gguf";
    private static final String WIDE = "wide-Q6_K.gguf";
    private static final int RANDOM_PLACEMENTS = Boolean.getBoolean("talaria.all") ? 1000 : 100;

    @ParameterizedTest
    @ValueSource(strings = {NANO, "nano-split-Q4_K_M.gguf", "wide-Q6_K.gguf"})
    void expertsAndLayersOverTheCpuGiveTheBitsOfOne(String file) throws IOException {
        Prompt prompt = GoldenModels.prompts(file).getFirst();
        bitsOfOne(file, prompt, List.of("cpu", "cpu", "cpu"), Activations.INT8, prompt.tokens().length);
        bitsOfOne(file, prompt.first(24), List.of("cpu", "cpu"), Activations.HALF, 1);
        bitsOfOne(file, prompt.first(60), List.of("cpu", "cpu"), Activations.INT8, 7);
    }

    /**
     * Batches that go through devices with layers of their own in pieces, and end in one of them; with a wanted row at the
     * end, with none, with all.
     */
    @ParameterizedTest
    @ValueSource(strings = {"cpu,cpu", "simt:0,simt:0", "opencl:0,opencl:0"})
    void piecesOfALongPromptGiveTheBitsOfOne(String list) throws IOException {
        List<String> names = List.of(list.split(","));
        assumeHere(names);
        int rows = list.startsWith("cpu") ? 600 : 300;
        int[] tokens = IntStream.range(0, rows).map(i -> 3 + i * 31 % 500).toArray();
        List<Device> devices = open(names);
        try (Model model = Model.open(TestData.golden(NANO))) {
            for (int[] known : new int[][] {{rows - 1}, {rows - 140, rows - 1}, {0, rows - 1}}) {
                Prompt prompt = new Prompt(NANO, 0, tokens, known, null, null);
                DecoderOptions options = options(Activations.INT8, prompt, rows);
                Placement single = Placement.single(model.config());
                float[][] expected = logits(model, devices.subList(0, 1), single, prompt, rows, options);
                for (Placement placement : List.of(layers(model.config(), 2), any(model.config(), 2, new Random(5)))) {
                    assertBits(expected, logits(model, devices, placement, prompt, rows, options), placement);
                }
            }
        } finally {
            devices.forEach(Device::close);
        }
    }

    /** Rows that go one by one, a few, and by tiles of the matrix unit. */
    @ParameterizedTest
    @ValueSource(ints = {1, 7, 40})
    void expertsAndLayersOverTheEmulatorGiveTheBitsOfOne(int chunk) throws IOException {
        List<String> two = List.of("simt:0", "simt:0");
        assumeHere(two);
        Prompt prompt = GoldenModels.prompts(NANO).getFirst().first(chunk == 1 ? 8 : 40);
        bitsOfOne(NANO, prompt, two, Activations.INT8, chunk);
    }

    /** The same device opened more than once. */
    @ParameterizedTest
    @ValueSource(ints = {1, 7})
    void expertsAndLayersOverOpenClGiveTheBitsOfOne(int chunk) throws IOException {
        List<String> three = List.of("opencl:0", "opencl:0", "opencl:0");
        assumeHere(three);
        Prompt prompt = GoldenModels.prompts(NANO).getFirst().first(chunk == 1 ? 8 : 30);
        bitsOfOne(NANO, prompt, three, Activations.INT8, chunk);
    }

    /** Two devices of one kind, in a process of its own, as a backend counts its devices but once. */
    @ParameterizedTest
    @CsvSource({
        "opencl, POCL_DEVICES, pthread pthread, 1",
        "simt, TALARIA_SIMT_DEVICES, 2, 1",
        "simt, TALARIA_SIMT_DEVICES, 2, 0"
    })
    void twoDevicesOfAKindShareAModel(String backend, String variable, String value, String peers) throws Exception {
        assumeHere(List.of(backend + ":0"));
        ProcessBuilder builder = new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-Xmx512m",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                TwoDevices.class.getName(),
                backend);
        builder.environment().put(variable, value);
        builder.environment().put("TALARIA_PEERS", peers); // whether they reach each other
        Process process = builder.redirectErrorStream(true).start();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        int code = process.waitFor();
        Assumptions.assumeFalse(out.contains(TwoDevices.ONE), "not tested: " + backend + " has one device alone");
        assertEquals(0, code, out);
        assertTrue(out.contains(TwoDevices.PASSED), out);
    }

    /** The main class of that process. */
    static final class TwoDevices {
        static final String ONE = "there is but one device";
        static final String PASSED = "all results are as they should be";

        private TwoDevices() {}

        public static void main(String[] args) throws IOException {
            String first = args[0] + ":0";
            String second = args[0] + ":1";
            boolean two = Backends.all().stream()
                    .flatMap(backend -> backend.devices().stream())
                    .anyMatch(info -> info.device().equals(second));
            if (!two) {
                System.out.println(ONE);
                return;
            }
            List<String> names = List.of(first, second);
            // One file, mode and chunk: each device of OpenCL has its kernels compiled.
            Prompt prompt = GoldenModels.prompts(WIDE).get(1);
            bitsOfOne(WIDE, prompt, names, Activations.INT8, 9);
            int[] many = IntStream.range(0, 260).map(i -> 3 + i * 31 % 500).toArray();
            bitsOfOne(NANO, new Prompt(NANO, 0, many, new int[] {259}, null, null), names, Activations.INT8, 260);
            within(WIDE, names, Activations.INT8, prompt, 9, config -> columns(config, List.of(512, 768)));
            List<String> three = List.of("cpu", second, first);
            within(WIDE, three, Activations.INT8, prompt, 9, config -> columns(config, List.of(512, 512, 256)));
            System.out.println(PASSED);
        }
    }

    @Test
    void randomPlacementsGiveTheBitsOfOneDevice() throws IOException {
        Prompt prompt = GoldenModels.prompts(NANO).getFirst().first(10);
        List<Device> devices = open(List.of("cpu", "cpu", "cpu"));
        Random random = new Random(11);
        try (Model model = Model.open(TestData.golden(NANO))) {
            for (Activations mode : List.of(Activations.INT8, Activations.HALF)) {
                DecoderOptions options = options(mode, prompt, 10);
                Placement single = Placement.single(model.config());
                float[][] expected = logits(model, devices.subList(0, 1), single, prompt, 10, options);
                for (int i = 0; i < RANDOM_PLACEMENTS / 2; i++) {
                    Placement placement = any(model.config(), 2 + random.nextInt(2), random);
                    assertBits(expected, logits(model, devices, placement, prompt, 10, options), placement);
                }
            }
        } finally {
            devices.forEach(Device::close);
        }
    }

    /** Devices of different kinds: rows travel through host memory. */
    @ParameterizedTest
    @ValueSource(strings = {"cpu,simt", "simt,cpu", "cpu,opencl:0", "opencl:0,simt:0,cpu", "cpu,opencl:0,simt:0"})
    void devicesOfDifferentKindsAreWithinTheBound(String list) throws IOException {
        List<String> names = List.of(list.split(","));
        assumeHere(names);
        Prompt prompt = GoldenModels.prompts(NANO).getFirst().first(40);
        within(NANO, names, Activations.HALF, prompt, 13, config -> experts(config, names.size()));
        within(NANO, names, Activations.HALF, prompt, 13, config -> layers(config, names.size()));
    }

    /** Where blocks of down let an expert's columns be divided: F is 256 in nano and gqa128, and 1280 in wide. */
    static Stream<Arguments> divided() {
        return Stream.of(
                Arguments.of("nano-F16.gguf", List.of(128, 128)),
                Arguments.of("nano-F16.gguf", List.of(96, 32, 128)),
                Arguments.of("nano-Q8_0.gguf", List.of(32, 224)),
                Arguments.of("nano-Q8_0.gguf", List.of(96, 96, 64)),
                Arguments.of("gqa128-Q8_0.gguf", List.of(160, 96)),
                Arguments.of("gqa128-Q8_0.gguf", List.of(0, 128, 128)),
                Arguments.of("wide-Q6_K.gguf", List.of(768, 512)),
                Arguments.of("wide-Q6_K.gguf", List.of(256, 1024, 0)),
                Arguments.of("wide-Q4_K_M.gguf", List.of(1024, 256)),
                Arguments.of("wide-Q4_K_M.gguf", List.of(256, 512, 512)));
    }

    @ParameterizedTest
    @MethodSource("divided")
    void dividedExpertsAreWithinTheBounds(String file, List<Integer> columns) throws IOException {
        List<String> names = Collections.nCopies(columns.size(), "cpu");
        for (Prompt prompt : GoldenModels.prompts(file)) {
            for (Activations mode : List.of(Activations.HALF, Activations.INT8)) {
                within(file, names, mode, prompt.first(150), 1, config -> columns(config, columns));
                within(file, names, mode, prompt.first(600), 16, config -> columns(config, columns));
            }
        }
    }

    /** Devices with narrow parts, of which the tiles of matrix units have to leave some out. */
    @ParameterizedTest
    @ValueSource(strings = {"simt:0,simt:0", "opencl:0,opencl:0", "cpu,simt:0,opencl:0"})
    void dividedExpertsOnOtherDevicesAreWithinTheBounds(String list) throws IOException {
        List<String> names = List.of(list.split(","));
        assumeHere(names);
        List<Integer> narrow = names.size() == 2 ? List.of(96, 160) : List.of(32, 128, 96);
        List<Integer> wide = names.size() == 2 ? List.of(512, 768) : List.of(256, 512, 512);
        for (int chunk : new int[] {1, 27}) {
            Prompt six = GoldenModels.prompts("wide-Q6_K.gguf").get(1).first(chunk == 1 ? 6 : 27);
            within("wide-Q6_K.gguf", names, Activations.HALF, six, chunk, config -> columns(config, wide));
            within("wide-Q6_K.gguf", names, Activations.INT8, six, chunk, config -> columns(config, wide));
            if (names.contains("simt:0") && TestData.hasGolden("nano-Q8_0.gguf")) {
                Prompt eight = GoldenModels.prompts("nano-Q8_0.gguf").get(1).first(chunk == 1 ? 6 : 27);
                within("nano-Q8_0.gguf", names, Activations.HALF, eight, chunk, config -> columns(config, narrow));
                within("nano-Q8_0.gguf", names, Activations.INT8, eight, chunk, config -> columns(config, narrow));
            }
        }
    }

    /** The file's golden logits, on devices that each have a part. */
    private static void within(
            String file,
            List<String> names,
            Activations mode,
            Prompt prompt,
            int chunk,
            Function<ModelConfig, Placement> place)
            throws IOException {
        List<Device> devices = open(names);
        try (Model model = Model.open(TestData.golden(file))) {
            Placement placement = place.apply(model.config());
            float[][] computed = logits(model, devices, placement, prompt, chunk, options(mode, prompt, chunk));
            String how = names + " " + mode + ", chunk " + chunk + ", " + placement;
            if (mode == Activations.HALF) {
                GoldenBounds.assertHalf(prompt, computed, how);
            } else if (GoldenBounds.isEnoughForInt8(prompt)) {
                GoldenBounds.assertInt8(prompt, computed, how);
            }
        } finally {
            devices.forEach(Device::close);
        }
    }

    @Test
    void dividedExpertsGiveTheSameBitsInAnyBatch() throws IOException {
        Prompt prompt = GoldenModels.prompts("wide-Q6_K.gguf").getFirst().first(30);
        List<Device> devices = open(List.of("cpu", "cpu"));
        try (Model model = Model.open(TestData.golden("wide-Q6_K.gguf"))) {
            Placement placement = columns(model.config(), List.of(512, 768));
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
    void placementsThatAreNotOfTheModelAreRefused() throws IOException {
        List<Device> devices = open(List.of("cpu"));
        try (Model model = Model.open(TestData.golden(NANO))) {
            DecoderOptions options = DecoderOptions.of(Activations.INT8, TensorType.F16, 1, 1);
            for (Placement wrong : List.of(
                    experts(model.config(), 2),
                    columns(model.config(), List.of()),
                    columns(model.config(), List.of(128)),
                    columns(model.config(), List.of(128, 128)),
                    new Placement(Collections.nCopies(2, new LayerPlace(0, List.of(0), List.of(256), List.of()))),
                    new Placement(List.of(LayerPlace.whole(0, 8))),
                    new Placement(List.of(LayerPlace.whole(0, 8), LayerPlace.whole(0, 7))),
                    new Placement(List.of(LayerPlace.whole(0, 8), LayerPlace.whole(-1, 8))))) {
                assertThrows(
                        DeviceException.class, () -> Decoder.load(model, devices, wrong, options, LoadProgress.NONE));
            }
        } finally {
            devices.forEach(Device::close);
        }
    }
}
