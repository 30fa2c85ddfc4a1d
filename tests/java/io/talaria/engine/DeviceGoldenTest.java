package io.talaria.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GoldenModels;
import io.talaria.GoldenModels.Prompt;
import io.talaria.backend.Activations;
import io.talaria.backend.Backend;
import io.talaria.backend.Backends;
import io.talaria.engine.LogitsRunner.Setting;
import io.talaria.engine.LogitsRunner.Way;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every device that is here against the golden logits, in both modes of activations. */
class DeviceGoldenTest {
    /** What the emulator, and a processor that plays a GPU, have time for; ci/test.sh --all runs all files there. */
    private static final Set<String> ON_SLOW =
            Set.of("nano-F16.gguf", "nano-Q4_K_M.gguf", "gqa128-Q8_0.gguf", "wide-Q6_K.gguf");

    /** Devices, but for the reference, times golden files; of them those that {@code -Dtalaria.only=TEXT} names. */
    static Stream<Arguments> cases() {
        boolean all = Boolean.getBoolean("talaria.all");
        String only = System.getProperty("talaria.only", "");
        return devices()
                .flatMap(device -> GoldenModels.FILES.stream()
                        .filter(file -> all || !LogitsRunner.slow(device) || ON_SLOW.contains(file))
                        .filter(file -> (device + " " + file).contains(only))
                        .map(file -> Arguments.of(device, file)));
    }

    static Stream<String> devices() {
        return Backends.all().stream()
                .filter(backend -> !backend.name().equals("reference"))
                .map(Backend::devices)
                .flatMap(List::stream)
                .map(info -> info.device());
    }

    @Test
    void theCpuIsHere() {
        assertTrue(devices().anyMatch("cpu:0"::equals), "the native library was not built");
    }

    @ParameterizedTest
    @MethodSource("cases")
    void halfIsWithinItsBound(String device, String file) throws IOException {
        Setting half = Setting.of(device, Activations.HALF, TensorType.F16);
        List<Prompt> prompts = GoldenModels.prompts(file);
        for (int i = 0; i < prompts.size(); i++) {
            int[] company = prompts.get((i + 1) % 2).tokens();
            for (Way way : Way.of(device)) {
                Prompt prompt = prompts.get(i).first(way.limit());
                Setting setting = way.apply(half, company);
                GoldenBounds.assertHalf(prompt, LogitsRunner.logits(prompt, setting), setting);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void int8IsWithinItsBound(String device, String file) throws IOException {
        Setting int8 = Setting.of(device, Activations.INT8, TensorType.F16);
        List<Prompt> prompts = GoldenModels.prompts(file);
        for (int i = 0; i < prompts.size(); i++) {
            int[] company = prompts.get((i + 1) % 2).tokens();
            for (Way way : Way.of(device)) {
                Prompt prompt = prompts.get(i).first(way.limit());
                if (GoldenBounds.isEnoughForInt8(prompt)) {
                    Setting setting = way.apply(int8, company);
                    GoldenBounds.assertInt8(prompt, LogitsRunner.logits(prompt, setting), setting);
                }
            }
        }
    }

    /**
     * Like meets like: the same rounding of the cache on the device and on the reference. A device that rounds activations
     * to float16 moves some values of the cache over to the next code, as {@code validate.Bounds} says.
     */
    @ParameterizedTest
    @MethodSource("cases")
    void q8CacheAgreesWithTheReference(String device, String file) throws IOException {
        Prompt prompt = GoldenModels.prompts(file).getFirst();
        float[][] expected = LogitsRunner.logits(prompt, Setting.of("reference", Activations.EXACT, TensorType.Q8_0));
        float[][] computed = LogitsRunner.logits(prompt, Setting.of(device, Activations.HALF, TensorType.Q8_0));
        double[] errors = new double[expected.length];
        for (int i = 0; i < errors.length; i++) {
            errors[i] = GoldenModels.nmse(computed[i], expected[i]);
        }
        double half = GoldenBounds.HALF;
        double bound = device.startsWith("cpu") ? half : half + Math.sqrt(half) / 32;
        assertTrue(GoldenModels.median(errors) <= bound, file + ": " + GoldenModels.median(errors));
        double rounding = GoldenModels.median(prompt.errors(expected));
        assertTrue(rounding > 1e-9, file + ": a Q8_0 cache that rounds nothing: " + rounding);
    }

    /** In batch-invariant mode a text gets the same bits whatever its chunks and whoever shares its batches. */
    @ParameterizedTest
    @MethodSource("cases")
    void batchInvariantRowsDoNotDependOnTheirBatch(String device, String file) throws IOException {
        List<Prompt> prompts = GoldenModels.prompts(file);
        Prompt prompt = prompts.getFirst();
        for (Activations mode : new Activations[] {Activations.HALF, Activations.INT8}) {
            Setting whole = Setting.of(device, mode, TensorType.Q8_0).invariant();
            float[][] expected = LogitsRunner.logits(prompt, whole);
            for (int chunk : LogitsRunner.slow(device) ? new int[] {1, 7} : new int[] {1, 2, 5, 7, 16}) {
                Setting setting = whole.chunk(chunk).with(prompts.get(1).tokens());
                float[][] computed = LogitsRunner.logits(prompt, setting);
                for (int row = 0; row < expected.length; row++) {
                    assertArrayEquals(expected[row], computed[row], setting + ", row " + row);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void twoRunsGiveTheSameBits(String device, String file) throws IOException {
        Prompt prompt = GoldenModels.prompts(file).getFirst();
        Setting setting = Setting.of(device, Activations.INT8, TensorType.Q8_0);
        float[][] first = LogitsRunner.logits(prompt, setting);
        float[][] second = LogitsRunner.logits(prompt, setting);
        for (int row = 0; row < first.length; row++) {
            assertArrayEquals(first[row], second[row], "row " + row);
        }
    }
}
