package io.talaria.bench;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.TensorSource;
import io.talaria.model.ExpertLayout;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.model.ModelSummary;
import io.talaria.quant.Quant;
import io.talaria.quant.Recipe;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A model in memory is what its file would be, but for which random weights it has. */
class SyntheticModelTest {
    private static final SyntheticShape NANO = SyntheticShape.preset("nano").orElseThrow();
    private static final SyntheticShape FULL =
            SyntheticShape.preset("mixtral-8x7b").orElseThrow();

    private static byte[] read(TensorSource source, long offset, int count) throws IOException {
        byte[] bytes = new byte[count];
        source.read(offset, ByteBuffer.wrap(bytes));
        return bytes;
    }

    private static double deviation(TensorSource source) throws IOException {
        int elements = Math.toIntExact(source.shape().elements());
        float[] values = new float[elements];
        Quant.decode(source.type(), read(source, 0, (int) source.type().bytes(elements)), 0, values, 0, elements);
        double squares = 0;
        for (float value : values) {
            squares += (double) value * value;
        }
        return Math.sqrt(squares / elements);
    }

    @ParameterizedTest
    @EnumSource(Recipe.class)
    void itIsLikeItsFile(Recipe recipe, @TempDir Path folder) throws IOException {
        Path file = folder.resolve("file.gguf");
        Synthesizer.write(file, NANO, recipe, ExpertLayout.STACKED, LoadProgress.NONE);
        try (Model written = Model.open(file);
                Model made = SyntheticModel.open(NANO, recipe)) {
            assertEquals(written.config(), made.config());
            assertEquals(ModelSummary.of(written), ModelSummary.of(made));
            assertEquals(written.file().fileBytes(), made.file().fileBytes());
            assertEquals(512, made.tokenizer().vocabularySize());
            for (int i = 0; i < written.sources().size(); i++) {
                double wanted = deviation(written.sources().get(i));
                assertEquals(
                        wanted,
                        deviation(made.sources().get(i)),
                        0.1 * wanted,
                        made.sources().get(i).name());
            }
        }
    }

    /** Devices read in pieces, from several threads; a piece is what lies there in the whole. */
    @Test
    void piecesMakeTheWhole() throws IOException {
        try (Model model = SyntheticModel.open(NANO, Recipe.Q4_K_M)) {
            TensorSource down = model.weights().layers().getFirst().down();
            int total = (int) down.type().bytes(down.shape().elements());
            byte[] whole = read(down, 0, total);
            for (int at : new int[] {0, 1, total / 8 - 5, total / 3, total - 11}) {
                assertArrayEquals(Arrays.copyOfRange(whole, at, at + 11), read(down, at, 11));
            }
        }
    }

    /** In 93 GB of weights nothing repeats at a distance that a matrix product would notice, and little is kept. */
    @Test
    void noRowIsThereTwiceAtFullSize() throws IOException {
        Runtime runtime = Runtime.getRuntime();
        try (Model model = SyntheticModel.open(FULL, Recipe.F16)) {
            assertTrue(ModelSummary.of(model).weightBytes() > 90_000_000_000L);
            TensorSource gate = model.weights().layers().get(31).gate();
            int rowBytes = (int) gate.type().bytes(gate.shape().columns());
            Set<ByteBuffer> rows = new HashSet<>();
            long count = gate.shape().planes() * gate.shape().rows();
            for (long row = 0; row < count; row++) {
                rows.add(ByteBuffer.wrap(read(gate, row * rowBytes, 32)));
            }
            assertEquals(count, rows.size());
            TensorSource other = model.weights().layers().get(30).gate();
            assertTrue(!Arrays.equals(read(gate, 0, 64), read(other, 0, 64)), "two layers have the same weights");
            runtime.gc();
            assertTrue(runtime.totalMemory() - runtime.freeMemory() < 200_000_000, "it keeps more than its pools");
        }
    }

    @Test
    void theSameWeightsEveryTime() throws IOException {
        try (Model first = SyntheticModel.open(NANO, Recipe.Q6_K);
                Model second = SyntheticModel.open(NANO, Recipe.Q6_K)) {
            for (int i = 0; i < first.sources().size(); i++) {
                assertArrayEquals(
                        read(first.sources().get(i), 0, 64),
                        read(second.sources().get(i), 0, 64));
            }
        }
    }

    @Test
    void shapesThatDoNotFitAreRefused() {
        SyntheticShape odd = new SyntheticShape("own", 96, 1, 2, 1, 48, 96, 4, 2, 512, 64);
        assertThrows(IllegalArgumentException.class, () -> SyntheticModel.open(odd, Recipe.Q4_K_M));
    }
}
