package io.talaria.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
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
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A model over several devices: the same bits as on one of the same kind, whoever has what. */
class SplitTest {
    private static final String NANO = "nano-Q4_K_M.gguf";
    private static final int RANDOM_PLACEMENTS = Boolean.getBoolean("talaria.all") ? 1000 : 100;
    private static final OpenOptions ONE_THREAD = new OpenOptions(1);

    /** Devices of the names, opened. */
    private static List<Device> open(List<String> names) {
        return names.stream().map(name -> Backends.open(name, ONE_THREAD)).toList();
    }

    /** The logits of a prompt's known rows, {@code [row][V]}. */
    private static float[][] logits(
            Model model, List<Device> devices, Placement placement, Prompt prompt, int chunk, DecoderOptions base)
            throws IOException {
        List<float[]> rows = new ArrayList<>();
        try (Decoder decoder = Decoder.load(model, devices, placement, base, LoadProgress.NONE)) {
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
        }
        return rows.toArray(float[][]::new);
    }

    private static DecoderOptions options(Activations activations, Prompt prompt, int chunk) {
        int blocks = DecoderOptions.blocksFor(prompt.tokens().length);
        return DecoderOptions.of(activations, TensorType.F16, blocks, chunk).withLogits();
    }

    private static Placement layers(ModelConfig config, int devices) {
        return new Placement(IntStream.range(0, config.layers())
                .mapToObj(layer -> LayerPlace.whole(layer * devices / config.layers(), config.experts()))
                .toList());
    }

    private static Placement experts(ModelConfig config, int devices) {
        List<Integer> turns =
                IntStream.range(0, config.experts()).mapToObj(e -> e % devices).toList();
        return new Placement(IntStream.range(0, config.layers())
                .mapToObj(layer -> new LayerPlace(0, turns))
                .toList());
    }

    /** Any device may be a layer's home, and any have any of its experts, or none of them. */
    private static Placement any(ModelConfig config, int devices, Random random) {
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

    private static void assertBits(float[][] expected, float[][] computed, Object what) {
        assertEquals(expected.length, computed.length);
        for (int row = 0; row < expected.length; row++) {
            assertArrayEquals(expected[row], computed[row], what + ", row " + row);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {NANO, "nano-split-Q4_K_M.gguf", "wide-Q6_K.gguf"})
    void expertsAndLayersOverTheCpuGiveTheBitsOfOne(String file) throws IOException {
        Prompt prompt = GoldenModels.prompts(file).getFirst();
        bitsOfOne(file, prompt, List.of("cpu", "cpu", "cpu"), Activations.INT8, prompt.tokens().length);
        bitsOfOne(file, prompt.first(24), List.of("cpu", "cpu"), Activations.HALF, 1);
        bitsOfOne(file, prompt.first(60), List.of("cpu", "cpu"), Activations.INT8, 7);
    }

    /** Rows that go one by one, a few, and by tiles of the matrix unit. */
    @ParameterizedTest
    @ValueSource(ints = {1, 7, 40})
    void expertsAndLayersOverTheEmulatorGiveTheBitsOfOne(int chunk) throws IOException {
        assumeEmulator();
        Prompt prompt = GoldenModels.prompts(NANO).getFirst().first(chunk == 1 ? 8 : 40);
        bitsOfOne(NANO, prompt, List.of("simt", "simt"), Activations.INT8, chunk);
    }

    private static void assumeEmulator() {
        boolean here = Backends.all().stream()
                .anyMatch(b -> b.name().equals("simt") && b.unavailable().isEmpty());
        Assumptions.assumeTrue(here, "not tested: the emulator was not built");
    }

    private static void bitsOfOne(String file, Prompt prompt, List<String> names, Activations mode, int chunk)
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

    /** Devices of different kinds, the Java reference among them: rows travel through host memory. */
    @ParameterizedTest
    @ValueSource(strings = {"cpu,simt", "simt,cpu", "cpu,reference", "reference,cpu"})
    void devicesOfDifferentKindsAreWithinTheBound(String names) throws IOException {
        if (names.contains("simt")) {
            assumeEmulator();
        }
        List<Device> devices = open(List.of(names.split(",")));
        Prompt prompt = GoldenModels.prompts(NANO).getFirst().first(40);
        try (Model model = Model.open(TestData.golden(NANO))) {
            DecoderOptions options = options(Activations.HALF, prompt, 13);
            for (Placement placement : List.of(experts(model.config(), 2), layers(model.config(), 2))) {
                float[][] computed = logits(model, devices, placement, prompt, 13, options);
                double median = GoldenModels.median(prompt.errors(computed));
                assertTrue(median <= 1.5e-6, names + ": " + median);
            }
        } finally {
            devices.forEach(Device::close);
        }
    }

    /** A device that fails fails the request, as what it is; the others go on. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 3})
    void theSecondDeviceFails(int run) throws IOException {
        Prompt prompt = GoldenModels.prompts(NANO).getFirst().first(6);
        List<Device> devices = open(List.of("cpu", "cpu"));
        FaultyDevice faulty = new FaultyDevice(devices.get(1));
        try (Model model = Model.open(TestData.golden(NANO))) {
            DecoderOptions options = options(Activations.INT8, prompt, 3);
            Placement single = Placement.single(model.config());
            List<Device> first = devices.subList(0, 1);
            float[][] expected = logits(model, first, single, prompt, 3, options);
            faulty.beforeRun(number -> {
                if (number == run) {
                    throw new DeviceException(DeviceException.Kind.LOST, "the second device is gone");
                }
            });
            List<Device> both = List.of(devices.get(0), faulty.device());
            DeviceException failure = assertThrows(
                    DeviceException.class, () -> logits(model, both, experts(model.config(), 2), prompt, 3, options));
            assertEquals(DeviceException.Kind.LOST, failure.kind());
            assertBits(expected, logits(model, first, single, prompt, 3, options), "after the failure");
        } finally {
            devices.forEach(Device::close);
        }
    }

    /** What the first device has been given is freed when the second has no room. */
    @Test
    void theSecondDeviceHasNoRoom() throws IOException {
        Prompt prompt = GoldenModels.prompts(NANO).getFirst().first(6);
        List<Device> devices = open(List.of("cpu", "cpu"));
        FaultyDevice faulty = new FaultyDevice(devices.get(1));
        try (Model model = Model.open(TestData.golden(NANO))) {
            DecoderOptions options = options(Activations.INT8, prompt, 3);
            faulty.beforeLoad(number -> {
                if (number == 4) {
                    throw new DeviceException(DeviceException.Kind.OUT_OF_MEMORY, "the second device is full");
                }
            });
            long before = devices.get(0).memory().total();
            List<Device> both = List.of(devices.get(0), faulty.device());
            DeviceException failure = assertThrows(
                    DeviceException.class, () -> logits(model, both, experts(model.config(), 2), prompt, 3, options));
            assertEquals(DeviceException.Kind.OUT_OF_MEMORY, failure.kind());
            assertEquals(before, devices.get(0).memory().total());
            assertEquals(0, devices.get(1).memory().weights());
            logits(model, devices, experts(model.config(), 2), prompt, 3, options);
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
