package io.talaria.model;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.talaria.TestData;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a model weighs, against sums made by hand. */
class ModelSummaryTest {
    @TempDir
    private Path folder;

    @Test
    void countsOfATinyModel() throws IOException {
        try (Model model = Model.open(TinyModel.stacked().write(folder.resolve("tiny.gguf")))) {
            ModelSummary summary = ModelSummary.of(model);
            long attention = 16 * 16 + 8 * 16 + 8 * 16 + 16 * 16;
            long expert = 3 * 16 * 12;
            long layer = 16 + attention + 16 + 16 * 4;
            long shared = 2 * layer + 16 + 2 * 264 * 16;
            assertEquals(shared + 2 * 4 * expert, summary.parameters());
            assertEquals(shared + 2 * 2 * expert, summary.activeParameters());
            assertEquals(4 * summary.parameters(), summary.weightBytes());
            assertEquals(4 * (summary.activeParameters() - 263 * 16), summary.bytesPerToken());
        }
    }

    @Test
    void anOutputThatIsTheEmbeddingIsReadWhole() throws IOException {
        Path file = TinyModel.stacked().without("output.weight").write(folder.resolve("tied.gguf"));
        try (Model model = Model.open(file)) {
            ModelSummary summary = ModelSummary.of(model);
            assertEquals(4 * summary.activeParameters(), summary.bytesPerToken());
        }
    }

    /** The tensors of the real recipe, in both layouts: the same weights, so the same sums but for the router's type. */
    @Test
    void bothLayoutsWeighTheSame() throws IOException {
        try (Model stacked = Model.open(TestData.golden("nano-Q4_K_M.gguf"));
                Model split = Model.open(TestData.golden("nano-split-Q4_K_M.gguf"))) {
            long routerHalves = 2L * 8 * 256 * 2;
            ModelSummary s = ModelSummary.of(stacked);
            ModelSummary t = ModelSummary.of(split);
            assertEquals(s.parameters(), t.parameters());
            assertEquals(s.activeParameters(), t.activeParameters());
            assertEquals(s.weightBytes() - routerHalves, t.weightBytes());
            assertEquals(s.bytesPerToken() - routerHalves, t.bytesPerToken());
            assertEquals(stacked.sources().size(), split.sources().size());
        }
    }
}
