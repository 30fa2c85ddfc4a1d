package io.talaria.engine;

import static io.talaria.engine.SplitRig.assertBits;
import static io.talaria.engine.SplitRig.columns;
import static io.talaria.engine.SplitRig.experts;
import static io.talaria.engine.SplitRig.logits;
import static io.talaria.engine.SplitRig.open;
import static io.talaria.engine.SplitRig.options;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GoldenModels;
import io.talaria.GoldenModels.Prompt;
import io.talaria.TestData;
import io.talaria.backend.Activations;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.DeviceException.Kind;
import io.talaria.engine.EngineRig.Reply;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.model.Placement;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The second of two devices fails: what fails says so as what it is, and the first device is as good as before. */
class SplitFaultsTest {
    private static final String FILE = "wide-Q6_K.gguf";
    private static final int CHUNK = 3;

    private final List<Device> devices = open(List.of("cpu", "cpu"));
    private final FaultyDevice faulty = new FaultyDevice(devices.get(1));
    private final List<Device> both = List.of(devices.get(0), faulty.device());
    private Model model;
    private Prompt prompt;
    private DecoderOptions options;
    private float[][] expected;
    private long before;

    @BeforeEach
    void openModel() throws IOException {
        model = Model.open(TestData.golden(FILE));
        prompt = GoldenModels.prompts(FILE).getFirst().first(12);
        options = options(Activations.INT8, prompt, CHUNK);
        expected = onTheFirst();
        before = devices.get(0).memory().total();
    }

    @AfterEach
    void close() throws IOException {
        devices.forEach(Device::close);
        model.close();
    }

    enum How {
        EXPERTS,
        FFN
    }

    private Placement placement(How how) {
        return how == How.EXPERTS ? experts(model.config(), 2) : columns(model.config(), List.of(512, 768));
    }

    private float[][] onTheFirst() throws IOException {
        return logits(model, devices.subList(0, 1), Placement.single(model.config()), prompt, CHUNK, options);
    }

    private DeviceException fails(How how) {
        return assertThrows(DeviceException.class, () -> logits(model, both, placement(how), prompt, CHUNK, options));
    }

    private void theFirstIsUsable() throws IOException {
        assertEquals(before, devices.get(0).memory().total(), "what the first device was given is not freed");
        theFirstComputes();
    }

    private void theFirstComputes() throws IOException {
        assertBits(expected, onTheFirst(), "after the failure");
    }

    private static DeviceException failure(Kind kind) {
        return new DeviceException(kind, "the second device fails");
    }

    @ParameterizedTest
    @EnumSource(How.class)
    void lostDuringARequest(How how) throws IOException {
        for (int run : new int[] {0, 1, 3}) {
            FaultyDevice second = new FaultyDevice(devices.get(1));
            DeviceException loss = failure(Kind.LOST);
            second.beforeRun(number -> {
                if (number == run) {
                    throw loss;
                }
            });
            List<Device> pair = List.of(devices.get(0), second.device());
            DeviceException failed = assertThrows(
                    DeviceException.class, () -> logits(model, pair, placement(how), prompt, CHUNK, options));
            assertSame(loss, failed, "run " + run);
            theFirstIsUsable();
        }
    }

    /** After its step was queued: whoever waits for it hears of that when the pass is waited for. */
    @ParameterizedTest
    @EnumSource(How.class)
    void lostWhileItComputes(How how) throws IOException {
        DeviceException loss = failure(Kind.LOST);
        faulty.beforeSync(() -> {
            throw loss;
        });
        assertSame(loss, fails(how));
        theFirstIsUsable();
    }

    /** The home fails while the other waits for its rows: nobody waits for as long as a signal may take. */
    @ParameterizedTest
    @EnumSource(How.class)
    void theHomeFailsWhileTheOtherWaits(How how) throws IOException {
        FaultyDevice home = new FaultyDevice(devices.get(0));
        DeviceException loss = failure(Kind.LOST);
        home.turnDeaf();
        home.afterRead((source, target) -> {
            throw loss;
        });
        List<Device> pair = List.of(home.device(), devices.get(1));
        Assertions.assertTimeout(
                Duration.ofSeconds(20),
                () -> assertSame(
                        loss,
                        assertThrows(
                                DeviceException.class,
                                () -> logits(model, pair, placement(how), prompt, CHUNK, options))));
        theFirstComputes();
        List<Device> second = devices.subList(1, 2);
        assertBits(expected, logits(model, second, Placement.single(model.config()), prompt, CHUNK, options), "second");
    }

    /** Of gate, up or down. */
    static Stream<List<Object>> loads() {
        return Stream.of(Kind.OUT_OF_MEMORY, Kind.LOST)
                .flatMap(kind -> Arrays.stream(How.values())
                        .flatMap(how -> Stream.of(0, 1, 2).map(load -> List.of(kind, how, load))));
    }

    @ParameterizedTest
    @MethodSource("loads")
    void duringLoading(List<Object> load) throws IOException {
        Kind kind = (Kind) load.get(0);
        How how = (How) load.get(1);
        DeviceException failure = failure(kind);
        faulty.beforeLoad(number -> {
            if (number == (int) load.get(2)) {
                throw failure;
            }
        });
        assertSame(failure, fails(how));
        theFirstIsUsable();
        if (kind == Kind.OUT_OF_MEMORY) { // the device is still usable
            assertEquals(0, devices.get(1).memory().weights());
            faulty.beforeLoad(number -> {});
            logits(model, both, placement(how), prompt, CHUNK, options);
        }
    }

    /** The request is told, and so is who comes later; a new engine works on the first device alone. */
    @ParameterizedTest
    @ValueSource(ints = {0, 9, 15})
    void anEngineEndsWithItsSecondDevice(int run) throws IOException {
        DecoderOptions engineOptions = DecoderOptions.of(Activations.INT8, options.kvType(), 4, 16);
        int[] text = prompt.tokens();
        DeviceException loss = failure(Kind.LOST);
        try (Decoder decoder = Decoder.load(model, both, placement(How.FFN), engineOptions, LoadProgress.NONE);
                Engine engine = new Engine(decoder, new EngineOptions(64, 1))) {
            faulty.beforeRun(number -> {
                if (number == run) {
                    throw loss;
                }
            });
            Reply reply = submit(engine, text);
            assertSame(loss, assertThrows(DeviceException.class, reply::await));
            assertTrue(reply.tokens.size() <= run, reply.tokens + " in run " + run);
            assertSame(loss, assertThrows(DeviceException.class, () -> submit(engine, text)));
        }
        List<Device> first = devices.subList(0, 1);
        Placement single = Placement.single(model.config());
        try (Decoder decoder = Decoder.load(model, first, single, engineOptions, LoadProgress.NONE);
                Engine engine = new Engine(decoder, new EngineOptions(64, 1))) {
            assertEquals(20, submit(engine, text).text().size());
        }
        assertEquals(
                0, devices.get(0).memory().weights() + devices.get(0).memory().kv());
        theFirstComputes();
    }

    private static Reply submit(Engine engine, int[] text) {
        Reply reply = new Reply(token -> {});
        reply.ticket = engine.submit(EngineRig.greedy(text, 20), reply);
        return reply;
    }

    /** A failure that leaves the device usable fails its pass alone. */
    @Test
    void aStepThatHasNoRoomFailsAlone() throws IOException {
        faulty.beforeRun(number -> {
            if (number == 1) {
                throw failure(Kind.OUT_OF_MEMORY);
            }
        });
        assertEquals(Kind.OUT_OF_MEMORY, fails(How.FFN).kind());
        theFirstIsUsable();
        logits(model, both, placement(How.FFN), prompt, CHUNK, options);
    }
}
