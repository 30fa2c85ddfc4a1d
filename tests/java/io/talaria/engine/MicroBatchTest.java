package io.talaria.engine;

import static io.talaria.engine.SplitRig.assertBits;
import static io.talaria.engine.SplitRig.assumeHere;
import static io.talaria.engine.SplitRig.columns;
import static io.talaria.engine.SplitRig.experts;
import static io.talaria.engine.SplitRig.logits;
import static io.talaria.engine.SplitRig.open;
import static io.talaria.engine.SplitRig.options;
import static io.talaria.engine.SplitRig.tensor;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GoldenModels;
import io.talaria.GoldenModels.Prompt;
import io.talaria.TestData;
import io.talaria.backend.Activations;
import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.Event;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.bench.SyntheticModel;
import io.talaria.bench.SyntheticShape;
import io.talaria.engine.WatchedDevice.Ran;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.model.ModelConfig;
import io.talaria.model.Placement;
import io.talaria.model.Placement.LayerPlace;
import io.talaria.model.Verb;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Batches of many rows over several devices, of which one half is computed while the other travels or is elsewhere. */
class MicroBatchTest {
    private static final String NANO = "nano-Q4_K_M.gguf";
    private static final String WIDE = "wide-Q6_K.gguf";
    /** More layers than golden files have. */
    private static final SyntheticShape DEEP = new SyntheticShape("deep", 256, 5, 8, 4, 128, 1280, 8, 2, 512, 8192);

    private static Prompt prompt(String file, int tokens, int... wanted) {
        int[] made = IntStream.range(0, tokens).map(i -> 3 + i * 31 % 500).toArray();
        return new Prompt(file, 0, made, wanted, null, null);
    }

    /** One device is the home of all layers, and any have any of the experts, or none of them. */
    private static Placement anyWithOneHome(ModelConfig config, int devices, Random random) {
        int home = random.nextInt(devices);
        return new Placement(IntStream.range(0, config.layers())
                .mapToObj(layer -> new LayerPlace(
                        home,
                        IntStream.range(0, config.experts())
                                .mapToObj(expert -> random.nextInt(devices))
                                .toList()))
                .toList());
    }

    static Stream<Arguments> files() {
        return GoldenModels.FILES.stream()
                .flatMap(file -> Stream.of(Activations.HALF, Activations.INT8).map(mode -> Arguments.of(file, mode)));
    }

    /** Wanted rows at the end, in both halves, on both sides of the border, and in the first alone. */
    @ParameterizedTest
    @MethodSource("files")
    void wholeExpertsGiveTheBitsOfOne(String file, Activations mode) throws IOException {
        Assumptions.assumeTrue(TestData.hasGolden(file), "not tested: there is no golden file " + file);
        List<Device> devices = open(List.of("cpu", "cpu", "cpu"));
        Random random = new Random(17);
        try (Model model = Model.open(TestData.golden(file))) {
            ModelConfig config = model.config();
            Map<Prompt, Integer> chunks = Map.of(
                    prompt(file, 256, 127, 128, 255), 256,
                    prompt(file, 301, 300), 310,
                    prompt(file, 700, 3, 174, 175, 399, 650), 350,
                    prompt(file, 620, 1, 619), 600);
            for (Map.Entry<Prompt, Integer> each : chunks.entrySet()) {
                Prompt prompt = each.getKey();
                int chunk = each.getValue();
                DecoderOptions options = options(mode, prompt, chunk);
                List<Device> one = devices.subList(0, 1);
                float[][] expected = logits(model, one, Placement.single(config), prompt, chunk, options);
                for (Placement placement :
                        List.of(experts(config, 2), experts(config, 3), anyWithOneHome(config, 3, random))) {
                    String what = prompt.tokens().length + " in " + chunk + ", " + placement;
                    assertBits(expected, logits(model, devices, placement, prompt, chunk, options), what);
                }
            }
        } finally {
            devices.forEach(Device::close);
        }
    }

    @Test
    void randomPlacementsGiveTheBitsOfOne() throws IOException {
        List<Device> devices = open(List.of("cpu", "cpu", "cpu"));
        Random random = new Random(4);
        try (Model model = SyntheticModel.open(DEEP, Recipe.Q4_K_M)) {
            for (int i = 0; i < 12; i++) {
                int rows = 256 + random.nextInt(200);
                Prompt prompt = prompt(DEEP.name(), 2 * rows + 40, 2 * rows + 39); // nobody waits for the first two
                DecoderOptions options = options(Activations.INT8, prompt, rows);
                List<Device> one = devices.subList(0, 1);
                float[][] expected = logits(model, one, Placement.single(model.config()), prompt, rows, options);
                Placement placement = anyWithOneHome(model.config(), 2 + random.nextInt(2), random);
                assertBits(expected, logits(model, devices, placement, prompt, rows, options), placement);
            }
        } finally {
            devices.forEach(Device::close);
        }
    }

    /** Three batches that are all queued before the first is done, and the same one by one. */
    @ParameterizedTest
    @ValueSource(strings = {"cpu,cpu,cpu", "cpu,opencl:0,cpu", "simt:0,cpu,simt:0"})
    void devicesThatRunAheadGiveTheSameBits(String list) throws IOException {
        List<String> names = List.of(list.split(","));
        assumeHere(names);
        boolean emulated = names.stream().anyMatch(LogitsRunner::isEmulated);
        Assumptions.assumeTrue(
                !emulated || Boolean.getBoolean("talaria.all"), "not tested: the emulator takes over a minute for it");
        boolean slow = names.stream().anyMatch(LogitsRunner::slow);
        int chunk = slow ? 256 : 300;
        int rows = slow ? 520 : 850;
        List<Device> devices = open(names);
        try (Model model = SyntheticModel.open(DEEP, Recipe.Q6_K)) {
            List<Integer> columns = List.of(256, 512, 512);
            for (Placement placement :
                    List.of(columns(model.config(), columns), tensor(model.config(), columns, List.of(1, 1, 2)))) {
                Prompt stopping = prompt(DEEP.name(), rows, 40, chunk - 1, 2 * chunk - 1, rows - 1);
                Prompt ahead = prompt(DEEP.name(), rows, rows - 1);
                DecoderOptions options = options(Activations.INT8, ahead, chunk);
                float[][] one = logits(model, devices, placement, stopping, chunk, options);
                float[][] other = logits(model, devices, placement, ahead, chunk, options);
                assertArrayEquals(one[3], other[0], placement.toString());
            }
        } finally {
            devices.forEach(Device::close);
        }
    }

    /** Devices of the emulator and of OpenCL: the bits of one, too. */
    @ParameterizedTest
    @ValueSource(strings = {"simt:0,simt:0", "opencl:0,opencl:0"})
    void otherDevicesGiveTheBitsOfOne(String list) throws IOException {
        List<String> names = List.of(list.split(","));
        assumeHere(names);
        Prompt prompt = prompt(NANO, 260, 10, 259);
        List<Device> devices = open(names);
        try (Model model = Model.open(TestData.golden(NANO))) {
            DecoderOptions options = options(Activations.INT8, prompt, 260);
            List<Device> one = devices.subList(0, 1);
            float[][] expected = logits(model, one, Placement.single(model.config()), prompt, 260, options);
            assertBits(expected, logits(model, devices, experts(model.config(), 2), prompt, 260, options), names);
        } finally {
            devices.forEach(Device::close);
        }
    }

    /** Lists of devices, files of long prompts, and how they are divided. */
    static Stream<Arguments> divided() {
        return Stream.of(
                Arguments.of("cpu,cpu", "nano-F16.gguf", columnsOf(128, 128)),
                Arguments.of("cpu,cpu", WIDE, columnsOf(256, 1024)),
                Arguments.of("cpu,cpu,cpu", "wide-Q4_K_M.gguf", columnsOf(512, 256, 512)),
                Arguments.of("cpu,cpu", "nano-F16.gguf", tensorOf(128, 128)),
                Arguments.of("cpu,cpu", "nano-Q8_0.gguf", tensorOf(96, 160)),
                Arguments.of("cpu,opencl:0", "nano-F16.gguf", columnsOf(128, 128)),
                Arguments.of("opencl:0,cpu", "nano-Q8_0.gguf", tensorOf(128, 128)),
                Arguments.of("cpu,simt:0", "nano-F16.gguf", columnsOf(128, 128)),
                Arguments.of("simt:0,simt:0", "nano-Q8_0.gguf", tensorOf(96, 160)),
                Arguments.of("cpu,opencl:0,simt:0", WIDE, columnsOf(512, 512, 256)));
    }

    private static Function<ModelConfig, Placement> columnsOf(Integer... each) {
        return config -> columns(config, List.of(each));
    }

    private static Function<ModelConfig, Placement> tensorOf(Integer... each) {
        return config -> tensor(config, List.of(each), List.of(1, config.kvHeads() - 1));
    }

    @ParameterizedTest
    @MethodSource("divided")
    void dividedExpertsAreWithinTheBounds(String list, String file, Function<ModelConfig, Placement> place)
            throws IOException {
        List<String> names = List.of(list.split(","));
        assumeHere(names);
        Assumptions.assumeTrue(TestData.hasGolden(file), "not tested: there is no golden file " + file);
        Prompt longest = GoldenModels.prompts(file).getLast();
        List<Device> devices = open(names);
        try (Model model = Model.open(TestData.golden(file))) {
            boolean slow = names.stream().anyMatch(LogitsRunner::slow);
            Prompt prompt = slow ? longest.first(260) : longest;
            int chunk = slow ? 260 : 300;
            for (Activations mode : List.of(Activations.HALF, Activations.INT8)) {
                float[][] computed = logits(
                        model, devices, place.apply(model.config()), prompt, chunk, options(mode, prompt, chunk));
                if (mode == Activations.HALF) {
                    GoldenBounds.assertHalf(prompt, computed, list);
                } else if (GoldenBounds.isEnoughForInt8(prompt)) {
                    GoldenBounds.assertInt8(prompt, computed, list);
                }
            }
        } finally {
            devices.forEach(Device::close);
        }
    }

    /** Several texts in a batch, of which the border cuts one; with a cache of 8 bits. */
    @Test
    void companyGivesTheBitsOfOne() throws IOException {
        List<int[]> lists = Stream.of(150, 110, 90)
                .map(count -> prompt(NANO, count).tokens())
                .toList();
        int blocks = lists.stream()
                .mapToInt(list -> DecoderOptions.blocksFor(list.length))
                .sum();
        List<Device> devices = open(List.of("cpu", "cpu"));
        try (Model model = Model.open(TestData.golden(NANO))) {
            DecoderOptions options = DecoderOptions.of(Activations.INT8, TensorType.Q8_0, blocks, 450)
                    .withLogits();
            List<float[][]> results = new ArrayList<>();
            for (Placement placement : List.of(Placement.single(model.config()), experts(model.config(), 2))) {
                int count = placement.equals(Placement.single(model.config())) ? 1 : 2;
                List<float[]> rows = new ArrayList<>();
                try (Decoder decoder =
                        Decoder.load(model, devices.subList(0, count), placement, options, LoadProgress.NONE)) {
                    PromptLogits.run(decoder, lists, 150, position -> true, (position, logits) -> {
                        float[] row = new float[logits.remaining()];
                        logits.get(row);
                        rows.add(row);
                    });
                }
                results.add(rows.toArray(float[][]::new));
            }
            assertBits(results.get(0), results.get(1), "with company");
        } finally {
            devices.forEach(Device::close);
        }
    }

    private static Batch batch(int capacity, int rows, int... wanted) {
        Batch batch = new Batch(new BatchShape(capacity, 8, 1, DecoderOptions.blocksFor(capacity), 0, 0, 0));
        for (int i = 0; i < DecoderOptions.blocksFor(rows); i++) {
            batch.setBlock(0, i, i);
        }
        for (int row = 0; row < rows; row++) {
            batch.addRow(3 + row * 31 % 500, row, 0);
        }
        Arrays.stream(wanted).forEach(batch::addWanted);
        return batch;
    }

    /** Batches of all sizes after one another, their best tokens and choice of experts, and as many verbs as wanted. */
    @Test
    void theChoiceOfExpertsAndTheBestTokensAreOfTheWholeBatch() throws IOException {
        List<Device> devices = open(List.of("cpu", "cpu"));
        int capacity = 520;
        DecoderOptions options = new DecoderOptions(
                Activations.INT8,
                TensorType.F16,
                DecoderOptions.blocksFor(capacity),
                capacity,
                3,
                true,
                true,
                false,
                0);
        Placement single;
        try (Model model = Model.open(TestData.golden(NANO))) {
            single = Placement.single(model.config());
            int layers = model.config().layers();
            try (Decoder one = Decoder.load(model, devices.subList(0, 1), single, options, LoadProgress.NONE);
                    Decoder two =
                            Decoder.load(model, devices, experts(model.config(), 2), options, LoadProgress.NONE)) {
                for (int rows : new int[] {520, 1, 255, 256, 17, 301}) {
                    int[] wanted = rows == 1 ? new int[] {0} : new int[] {rows / 3, rows - 1};
                    Batch batch = batch(capacity, rows, wanted);
                    one.run(batch);
                    assertEquals(rows, two.runInPieces(batch, 3));
                    same(one, two, wanted.length, layers, rows);
                    two.run(batch, Set.of(Verb.values()));
                    same(one, two, wanted.length, layers, rows);
                }
            }
        } finally {
            devices.forEach(Device::close);
        }
    }

    private static void same(Decoder one, Decoder two, int wanted, int layers, int rows) {
        for (int i = 0; i < wanted; i++) {
            for (int rank = 0; rank < 3; rank++) {
                assertEquals(one.top(wanted).token(i, rank), two.top(wanted).token(i, rank));
            }
        }
        float[] expected = new float[wanted * one.config().vocabulary()];
        float[] computed = new float[expected.length];
        one.logits(wanted).get(expected);
        two.logits(wanted).get(computed);
        assertArrayEquals(expected, computed, rows + " rows");
        for (int layer = 0; layer < layers; layer++) {
            assertArrayEquals(one.experts(layer, rows), two.experts(layer, rows), rows + " rows, layer " + layer);
        }
    }

    /**
     * On every device the steps of the two halves take turns, a step waits before it does anything else, and nowhere later; so
     * what a device does for one half lies between what it sends of the other and what it waits for.
     */
    @ParameterizedTest
    @ValueSource(strings = {"experts", "ffn", "tensor"})
    void theStepsOfTheHalvesTakeTurns(String split) throws IOException {
        List<Device> real = open(List.of("cpu", "cpu"));
        List<WatchedDevice> watched = real.stream().map(WatchedDevice::new).toList();
        List<Device> devices = watched.stream().map(WatchedDevice::device).toList();
        try (Model model = SyntheticModel.open(DEEP, Recipe.Q8_0)) {
            ModelConfig config = model.config();
            Placement placement = Map.of(
                            "experts", experts(config, 2),
                            "ffn", columns(config, List.of(512, 768)),
                            "tensor", tensor(config, List.of(512, 768), List.of(2, 2)))
                    .get(split);
            try (Decoder decoder = Decoder.load(model, devices, placement, deepOptions(301), LoadProgress.NONE)) {
                decoder.run(batch(301, 301, 300));
                decoder.sync();
            }
            int layers = config.layers();
            List<Ran> home = watched.get(0).runs();
            List<Ran> away = watched.get(1).runs();
            if (split.equals("tensor")) { // x comes first, where it has been taken before, and two exchanges a layer
                assertEquals(2 * (2 * layers + 2 + 1), home.size());
                assertEquals(2 * (2 * layers + 1), away.size());
            } else {
                assertEquals(2 * (layers + 1 + 1), home.size());
                assertEquals(2 * layers, away.size());
            }
            for (List<Ran> runs : List.of(home, away)) {
                for (int i = 0; i < runs.size(); i++) {
                    assertEquals(i % 2 == 0 ? 151 : 150, runs.get(i).rows(), "step " + i);
                    List<String> verbs = runs.get(i).verbs();
                    long arriving = verbs.stream()
                            .takeWhile(verb -> verb.equals("await") || verb.equals("copy"))
                            .filter("await"::equals)
                            .count();
                    assertEquals(verbs.stream().filter("await"::equals).count(), arriving, verbs.toString());
                    boolean first = runs == home && i < 2;
                    boolean last = runs == home && i >= runs.size() - 2;
                    assertEquals(first || last ? 0 : 1, arriving, "step " + i + ": " + verbs);
                }
            }
        } finally {
            real.forEach(Device::close);
        }
    }

    /** The second device is held up; the home goes on to the second half, and sends it. */
    @Test
    void theHomeComputesTheSecondHalfWhileTheFirstIsElsewhere() throws IOException {
        List<Device> real = open(List.of("cpu", "cpu"));
        WatchedDevice home = new WatchedDevice(real.get(0));
        List<Device> devices = List.of(home.device(), real.get(1));
        try (Model model = SyntheticModel.open(DEEP, Recipe.Q8_0);
                Event gate = real.get(0).newEvent()) {
            float[] expected = alone(model, real.get(0), 301);
            Placement placement = experts(model.config(), 2);
            try (Decoder decoder = Decoder.load(model, devices, placement, deepOptions(301), LoadProgress.NONE);
                    Step held = heldBy(gate, real.get(1))) {
                real.get(1).run(held, batch(301, 1));
                decoder.run(batch(301, 301, 300));
                long sent;
                try {
                    sent = home.events().stream()
                            .filter(event -> event.await(1000))
                            .peek(Event::signal)
                            .count();
                } finally {
                    gate.signal();
                }
                assertEquals(4, home.events().size()); // rows there and back, of each half
                assertEquals(2, sent);
                assertArrayEquals(expected, row(decoder));
            }
        } finally {
            real.forEach(Device::close);
        }
    }

    private static Step heldBy(Event gate, Device device) {
        Step step =
                device.newStep(new StepOptions(Activations.HALF, batch(301, 1).shape()));
        step.await(gate);
        step.end();
        return step;
    }

    private static DecoderOptions deepOptions(int rows) {
        return DecoderOptions.of(Activations.INT8, TensorType.F16, DecoderOptions.blocksFor(rows), rows)
                .withLogits();
    }

    private static float[] alone(Model model, Device device, int rows) throws IOException {
        Placement single = Placement.single(model.config());
        try (Decoder decoder = Decoder.load(model, List.of(device), single, deepOptions(rows), LoadProgress.NONE)) {
            decoder.run(batch(rows, rows, rows - 1));
            return row(decoder);
        }
    }

    private static float[] row(Decoder decoder) {
        float[] row = new float[decoder.config().vocabulary()];
        decoder.logits(1).get(row);
        return row;
    }

    /** A device fails in the middle of a pass, with much queued behind: all hear of it, and the next batch is as good as ever. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void aPassThatFailsInItsMiddleFailsAlone(int which) throws IOException {
        List<Device> real = open(List.of("cpu", "cpu"));
        try (Model model = SyntheticModel.open(DEEP, Recipe.Q8_0)) {
            float[] expected = alone(model, real.get(0), 301);
            FaultyDevice failing = new FaultyDevice(real.get(which));
            List<Device> devices = new ArrayList<>(real);
            devices.set(which, failing.device());
            Placement placement = experts(model.config(), 2);
            try (Decoder decoder = Decoder.load(model, devices, placement, deepOptions(301), LoadProgress.NONE)) {
                for (int run = 0; run < 2 * model.config().layers(); run++) {
                    Event gate = real.get(0).newEvent();
                    Step held = heldBy(gate, real.get(which));
                    int before = run;
                    failing.beforeRun(number -> {
                        if (number == before) {
                            real.get(which).run(held, batch(301, 1));
                        }
                    });
                    decoder.run(batch(301, 301, 300));
                    gate.abandon();
                    DeviceException failed = Assertions.assertTimeout(
                            Duration.ofSeconds(20), () -> assertThrows(DeviceException.class, decoder::sync));
                    assertEquals(DeviceException.Kind.INVALID, failed.kind());
                    devices.forEach(device -> assertFalse(device.lost()));
                    held.close();
                    gate.close();
                    decoder.run(batch(301, 301, 300));
                    assertArrayEquals(expected, row(decoder));
                }
            }
        } finally {
            real.forEach(Device::close);
        }
    }

    /** Any of the steps of either device cannot be queued. */
    @ParameterizedTest
    @EnumSource(names = {"LOST", "OUT_OF_MEMORY"})
    void aStepThatFailsEndsItsBatch(DeviceException.Kind kind) throws IOException {
        try (Model model = SyntheticModel.open(DEEP, Recipe.Q8_0)) {
            for (int which = 0; which < 2; which++) {
                for (int run = 0; run < 2 * model.config().layers(); run += 3) {
                    List<Device> real = open(List.of("cpu", "cpu"));
                    try {
                        failsIn(run, which, kind, model, real);
                    } finally {
                        real.forEach(Device::close);
                    }
                }
            }
        }
    }

    private static void failsIn(int run, int which, DeviceException.Kind kind, Model model, List<Device> real)
            throws IOException {
        DeviceException failure = new DeviceException(kind, "the device fails");
        float[] expected = alone(model, real.get(1 - which), 301);
        FaultyDevice faulty = new FaultyDevice(real.get(which));
        List<Device> devices = new ArrayList<>(real);
        devices.set(which, faulty.device());
        Placement placement = experts(model.config(), 2);
        try (Decoder decoder = Decoder.load(model, devices, placement, deepOptions(301), LoadProgress.NONE)) {
            faulty.beforeRun(number -> {
                if (number == run) {
                    throw failure;
                }
            });
            DeviceException failed = Assertions.assertTimeout(
                    Duration.ofSeconds(20),
                    () -> assertThrows(DeviceException.class, () -> decoder.run(batch(301, 301, 300))));
            assertSame(failure, failed, "device " + which + ", run " + run);
            if (kind == DeviceException.Kind.OUT_OF_MEMORY) { // which leaves the device usable
                decoder.run(batch(301, 301, 300));
                assertArrayEquals(expected, row(decoder));
            }
        }
        assertArrayEquals(expected, alone(model, real.get(1 - which), 301), "the other device");
    }

    /** Two halves take the memory of one whole, and steps none worth mentioning. */
    @ParameterizedTest
    @ValueSource(strings = {"experts", "ffn", "tensor"})
    void halvesTakeTheMemoryOfAWhole(String split) throws IOException {
        List<Device> devices = open(List.of("cpu", "cpu"));
        try (Model model = SyntheticModel.open(DEEP, Recipe.Q8_0)) {
            ModelConfig config = model.config();
            Placement placement = Map.of(
                            "experts", experts(config, 2),
                            "ffn", columns(config, List.of(512, 768)),
                            "tensor", tensor(config, List.of(512, 768), List.of(2, 2)))
                    .get(split);
            long[] taken = new long[2];
            for (int i = 0; i < 2; i++) {
                DecoderOptions options = deepOptions(1024);
                try (Decoder decoder = Decoder.load(
                        model, devices, placement, i == 0 ? options : options.withStreaming(1024), LoadProgress.NONE)) {
                    taken[i] = devices.get(0).memory().scratch()
                            + devices.get(1).memory().scratch();
                }
            }
            assertTrue(taken[0] <= taken[1], taken[0] + " bytes in halves, " + taken[1] + " as a whole");
        } finally {
            devices.forEach(Device::close);
        }
    }
}
