package io.talaria.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GoldenModels;
import io.talaria.GoldenModels.Prompt;
import io.talaria.backend.Activations;
import io.talaria.engine.LogitsRunner.Setting;
import io.talaria.engine.LogitsRunner.Way;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** The reference against logits that were computed outside this project. */
class ReferenceGoldenTest {
    private static final Setting EXACT = Setting.of("reference", Activations.EXACT, TensorType.F32);
    private static final Setting HALF = Setting.of("reference", Activations.HALF, TensorType.F16);
    private static final int STEPS_TO_A_FLIP = 150;
    static final List<String> FILES = GoldenModels.FILES;

    @ParameterizedTest
    @FieldSource("FILES")
    void exactAtEveryChunkAloneAndInCompany(String file) throws IOException {
        List<Prompt> prompts = GoldenModels.prompts(file);
        for (int i = 0; i < prompts.size(); i++) {
            int[] company = prompts.get((i + 1) % 2).tokens();
            for (Way way : Way.ALL) {
                check(prompts.get(i).first(way.limit()), way.apply(EXACT, company));
            }
        }
    }

    private static void check(Prompt prompt, Setting setting) throws IOException {
        double worst = GoldenModels.largest(prompt.errors(LogitsRunner.logits(prompt, setting)));
        assertTrue(worst <= 1e-12, () -> prompt.file() + " " + prompt.number() + " " + setting + ": " + worst);
    }

    /** Two of its rounding modes against figures for the same rounding that were computed outside this project. */
    @ParameterizedTest
    @FieldSource("FILES")
    void int8RoundingCausesTheErrorThatItShould(String file) throws IOException {
        for (Prompt prompt : GoldenModels.prompts(file)) {
            for (Activations mode : new Activations[] {Activations.INT8, Activations.INT8_256}) {
                double[] errors =
                        prompt.errors(LogitsRunner.logits(prompt, Setting.of("reference", mode, TensorType.F32)));
                double median = GoldenModels.median(errors);
                if (prompt.int8Median(mode.block()).isEmpty()) {
                    assertTrue(median <= 1e-12, "F16 weights are not quantised, so nothing is rounded: " + median);
                    continue;
                }
                double stated = prompt.int8Median(mode.block()).get();
                String what = file + " " + prompt.number() + " " + mode + ": ";
                assertTrue(median <= 1.3 * stated, what + median + ", stated " + stated);
                assertTrue(median >= stated / 1.3, what + median + ", stated " + stated + ": is anything rounded?");
                long over = Arrays.stream(errors).filter(e -> e > 1e-2).count();
                assertTrue(
                        over <= prompt.int8RowsOver(mode.block()) + errors.length / 10.0, what + over + " rows over");
            }
        }
    }

    /**
     * Half activations with an F16 cache stay within what every device has to reach, and do round. Where two experts are
     * so close that rounding turns a choice over, that position is far off and all later ones see its keys and values:
     * such a prompt is held to the bound up to there.
     */
    @ParameterizedTest
    @FieldSource("FILES")
    void halfStaysWithinTheBoundOfDevices(String file) throws IOException {
        for (Prompt prompt : GoldenModels.prompts(file)) {
            double[] errors = prompt.errors(LogitsRunner.logits(prompt, HALF));
            String what = file + " " + prompt.number() + ": ";
            if (GoldenModels.median(errors) > 1.5e-6) {
                errors = errorsBeforeTheFirstFlip(prompt.first(STEPS_TO_A_FLIP), what);
            }
            double median = GoldenModels.median(errors);
            assertTrue(median <= 1.5e-6, what + median);
            assertTrue(median > 1e-12, what + "nothing was rounded");
        }
    }

    private static double[] errorsBeforeTheFirstFlip(Prompt prompt, String what) throws IOException {
        int[] all = IntStream.range(0, prompt.tokens().length).toArray();
        Prompt every = new Prompt(prompt.file(), prompt.number(), prompt.tokens(), all, null, null);
        float[][] exact = LogitsRunner.logits(every, EXACT);
        float[][] half = LogitsRunner.logits(every, HALF);
        double[] errors = IntStream.of(all)
                .mapToDouble(row -> GoldenModels.nmse(half[row], exact[row]))
                .toArray();
        int flip =
                IntStream.of(all).filter(row -> errors[row] > 1e-2).findFirst().orElse(-1);
        assertTrue(flip > 0, what + "over the bound, and no position is turned over");
        return Arrays.copyOf(errors, flip);
    }

    @ParameterizedTest
    @FieldSource("FILES")
    void arithmeticIsTheSameWhateverTheBatch(String file) throws IOException {
        Prompt prompt = GoldenModels.prompts(file).getFirst();
        float[][] whole = LogitsRunner.logits(prompt, EXACT);
        float[][] steps = LogitsRunner.logits(prompt, EXACT.chunk(1));
        for (int row = 0; row < whole.length; row++) {
            for (int i = 0; i < whole[row].length; i++) {
                assertEquals(whole[row][i], steps[row][i], "row " + row + ", logit " + i);
            }
        }
    }
}
