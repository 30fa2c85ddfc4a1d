package io.talaria.engine;

import static io.talaria.engine.SplitRig.any;
import static io.talaria.engine.SplitRig.assertBits;
import static io.talaria.engine.SplitRig.assumeHere;
import static io.talaria.engine.SplitRig.columns;
import static io.talaria.engine.SplitRig.experts;
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
import io.talaria.backend.Device;
import io.talaria.backend.Shape;
import io.talaria.backend.TensorSource;
import io.talaria.engine.EngineRig.Reply;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.model.ModelConfig;
import io.talaria.model.Placement;
import io.talaria.model.Placement.LayerPlace;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Experts that the cpu has, computed at home for batches of many rows: the bits of the home alone, as every expert is computed
 * there; batches of fewer rows as without streaming; and a file that cannot be read fails one batch.
 */
class StreamedTest {
    private static final String NANO = "nano-Q4_K_M.gguf";
    private static final String WIDE = "wide-Q6_K.gguf";

    /** Layers with none, one, some and all experts on the second of two devices. */
    private static Placement uneven(ModelConfig config) {
        int[] away = {config.experts(), 1, 0, 5};
        List<LayerPlace> places = new ArrayList<>();
        for (int layer = 0; layer < config.layers(); layer++) {
            List<Integer> experts = new ArrayList<>(Collections.nCopies(config.experts(), 0));
            for (int i = 0; i < away[layer % away.length]; i++) {
                experts.set(config.experts() - 1 - i, 1);
            }
            places.add(new LayerPlace(0, experts));
        }
        return new Placement(places);
    }

    /** Counts what the devices do. */
    private static final class Counted {
        private final List<Device> real;
        private final List<Device> devices = new ArrayList<>();
        private final List<FaultyDevice> faulty = new ArrayList<>();
        private final int[] runs;
        private int reloads;

        Counted(List<String> names) {
            real = open(names);
            runs = new int[names.size()];
            for (int i = 0; i < runs.length; i++) {
                int index = i;
                FaultyDevice device = new FaultyDevice(real.get(i));
                device.beforeRun(number -> runs[index]++);
                device.onReload(source -> {
                    reloads++;
                    return source;
                });
                faulty.add(device);
                devices.add(device.device());
            }
        }

        void close() {
            real.forEach(Device::close);
        }
    }

    /** The last batch of a prompt has fewer rows, and so may not be streamed where the others are. */
    @ParameterizedTest
    @ValueSource(strings = {NANO, "nano-split-Q4_K_M.gguf", WIDE, "wide-Q4_K_M.gguf"})
    void overTheCpuItGivesTheBitsOfOne(String file) throws IOException {
        Prompt prompt = GoldenModels.prompts(file).getFirst();
        Counted counted = new Counted(List.of("cpu", "cpu", "cpu"));
        try (Model model = Model.open(TestData.golden(file))) {
            for (Activations mode : List.of(Activations.INT8, Activations.HALF)) {
                for (int chunk : new int[] {1, 10, 39}) {
                    DecoderOptions options = options(mode, prompt, chunk);
                    List<Device> one = counted.devices.subList(0, 1);
                    float[][] expected = logits(model, one, Placement.single(model.config()), prompt, chunk, options);
                    for (int rows : new int[] {1, 10, 30}) {
                        for (Placement placement : List.of(
                                uneven(model.config()),
                                experts(model.config(), 3),
                                any(model.config(), 3, new Random(chunk)))) {
                            float[][] computed = logits(
                                    model, counted.devices, placement, prompt, chunk, options.withStreaming(rows));
                            assertBits(expected, computed, "chunk " + chunk + ", " + rows + ", " + placement);
                        }
                    }
                }
            }
        } finally {
            counted.close();
        }
    }

    /** Each batch of enough rows reads what the cpu has of each layer once, and leaves the cpu alone; the others do not. */
    @Test
    void batchesOfEnoughRowsAreStreamedAndNoOthers() throws IOException {
        Prompt prompt = GoldenModels.prompts(NANO).getFirst();
        Counted counted = new Counted(List.of("cpu", "cpu"));
        try (Model model = Model.open(TestData.golden(NANO))) {
            Placement placement = experts(model.config(), 2);
            int layers = model.config().layers();
            for (int[] wanted : new int[][] {{1, 4}, {9, 4}, {10, 3}, {11, 0}}) {
                counted.runs[1] = 0;
                counted.reloads = 0;
                DecoderOptions options = options(Activations.INT8, prompt, 10).withStreaming(wanted[0]);
                logits(model, counted.devices, placement, prompt, 10, options); // three of 10 rows, and one of 9
                assertEquals(wanted[1] * layers * 3, counted.reloads, "from " + wanted[0] + " rows on");
                assertEquals(4 - wanted[1], counted.runs[1], "from " + wanted[0] + " rows on");
            }
            counted.reloads = 0;
            DecoderOptions invariant = options(Activations.INT8, prompt, 10).withStreaming(1);
            logits(model, counted.devices, placement, prompt, 10, invariant.withBatchInvariance());
            assertEquals(0, counted.reloads, "results depend on the batch");
        } finally {
            counted.close();
        }
    }

    /** Each part of an expert as it would be where it is, so the same sums. */
    @Test
    void dividedExpertsGiveTheBitsThatTheyGiveUnstreamed() throws IOException {
        Prompt prompt = GoldenModels.prompts(WIDE).getFirst().first(30);
        List<Device> devices = open(List.of("cpu", "cpu", "cpu"));
        try (Model model = Model.open(TestData.golden(WIDE))) {
            Placement placement = columns(model.config(), List.of(256, 768, 256));
            DecoderOptions options = options(Activations.INT8, prompt, 15);
            float[][] expected = logits(model, devices, placement, prompt, 15, options);
            float[][] computed = logits(model, devices, placement, prompt, 15, options.withStreaming(15));
            assertBits(expected, computed, placement);
        } finally {
            devices.forEach(Device::close);
        }
    }

    /** Other devices beside the cpu; the logits are theirs to the bit, and so the cpu has computed nothing. */
    @ParameterizedTest
    @ValueSource(strings = {"simt:0", "opencl:0", "reference"})
    void otherDevicesGiveTheirOwnBits(String home) throws IOException {
        assumeHere(List.of(home));
        Prompt prompt = GoldenModels.prompts(NANO).getFirst().first(30);
        List<Device> devices = open(List.of(home, "cpu"));
        try (Model model = Model.open(TestData.golden(NANO))) {
            DecoderOptions options = options(Activations.HALF, prompt, 15);
            Placement single = Placement.single(model.config());
            float[][] expected = logits(model, devices.subList(0, 1), single, prompt, 15, options);
            GoldenBounds.assertHalf(prompt, expected, home);
            for (Placement placement : List.of(uneven(model.config()), experts(model.config(), 2))) {
                float[][] computed = logits(model, devices, placement, prompt, 15, options.withStreaming(15));
                assertBits(expected, computed, placement);
            }
        } finally {
            devices.forEach(Device::close);
        }
    }

    /** Streamed and computed by the cpu in turns, beside a third device that keeps its experts. */
    @ParameterizedTest
    @ValueSource(strings = {"simt:0,cpu", "opencl:0,cpu", "opencl:0,simt:0,cpu"})
    void mixedBatchesAreWithinTheBound(String list) throws IOException {
        List<String> names = List.of(list.split(","));
        assumeHere(names);
        Prompt prompt = GoldenModels.prompts(NANO).getFirst();
        Counted counted = new Counted(names);
        try (Model model = Model.open(TestData.golden(NANO))) {
            DecoderOptions options = options(Activations.HALF, prompt, 12).withStreaming(12);
            Placement placement = experts(model.config(), names.size());
            float[][] computed =
                    logits(model, counted.devices, placement, prompt, 12, options); // 12, 12, 12 and 3 rows
            GoldenBounds.assertHalf(prompt, computed, names);
            assertEquals(3 * model.config().layers() * 3, counted.reloads);
            assertTrue(counted.runs[names.size() - 1] > 0, "the cpu has had no batch");
        } finally {
            counted.close();
        }
    }

    /** A source that cannot be read from some byte on. */
    private record Broken(TensorSource right, long readable) implements TensorSource {
        @Override
        public String name() {
            return right.name();
        }

        @Override
        public TensorType type() {
            return right.type();
        }

        @Override
        public Shape shape() {
            return right.shape();
        }

        @Override
        public void read(long offset, ByteBuffer target) throws IOException {
            if (offset + target.remaining() > readable) {
                throw new IOException("the disk fails at " + right.name());
            }
            right.read(offset, target);
        }
    }

    /** Of which one reload is broken. */
    private static void failAt(Counted counted, int reload) {
        AtomicInteger number = new AtomicInteger();
        counted.faulty
                .getFirst()
                .onReload(source -> number.getAndIncrement() == reload ? new Broken(source, 100) : source);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2, 4})
    void aFileThatCannotBeReadFailsOneBatch(int reload) throws IOException {
        Prompt prompt = GoldenModels.prompts(NANO).getFirst().first(20);
        Counted counted = new Counted(List.of("cpu", "cpu"));
        try (Model model = Model.open(TestData.golden(NANO))) {
            DecoderOptions options = options(Activations.INT8, prompt, 20);
            Placement single = Placement.single(model.config());
            float[][] expected = logits(model, counted.devices.subList(0, 1), single, prompt, 20, options);
            Placement placement = experts(model.config(), 2);
            try (Decoder decoder =
                    Decoder.load(model, counted.devices, placement, options.withStreaming(2), LoadProgress.NONE)) {
                failAt(counted, reload);
                UncheckedIOException failed =
                        assertThrows(UncheckedIOException.class, () -> logits(decoder, prompt, 20));
                assertTrue(failed.getMessage().startsWith("the disk fails at blk."), failed.getMessage());
                assertBits(expected, logits(decoder, prompt, 20), "after the failure");
            }
        } finally {
            counted.close();
        }
    }

    /** The request is told; those after it are answered as if nothing had been. */
    @Test
    void anEngineGoesOnAfterAFailedRead() throws IOException {
        int[] text = GoldenModels.prompts(NANO).getFirst().first(30).tokens();
        Counted counted = new Counted(List.of("cpu", "cpu"));
        try (Model model = Model.open(TestData.golden(NANO));
                Decoder decoder = Decoder.load(
                        model,
                        counted.devices,
                        experts(model.config(), 2),
                        DecoderOptions.of(Activations.INT8, TensorType.F16, 4, 16)
                                .withStreaming(4),
                        LoadProgress.NONE);
                Engine engine = new Engine(decoder, new EngineOptions(64, 1))) {
            List<Integer> expected = submit(engine, text).text();
            failAt(counted, 1);
            Reply failed = submit(engine, text);
            assertThrows(UncheckedIOException.class, failed::await);
            assertEquals(expected, submit(engine, text).text());
        } finally {
            counted.close();
        }
    }

    private static Reply submit(Engine engine, int[] text) {
        Reply reply = new Reply(token -> {});
        reply.ticket = engine.submit(EngineRig.greedy(text, 10), reply);
        return reply;
    }
}
