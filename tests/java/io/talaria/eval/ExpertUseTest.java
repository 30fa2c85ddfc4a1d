package io.talaria.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GoldenModels;
import io.talaria.TestData;
import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.backend.OpenOptions;
import io.talaria.engine.PromptRouting;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.Model;
import io.talaria.quant.TensorType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class ExpertUseTest {
    @Test
    void countsWhatWasChosenTogetherAndAgain() {
        ExpertUse use = new ExpertUse(2, 4);
        use.add(0, new int[][] {{0, 1}, {1, 2}, {1, 0}, {3, 2}});
        use.add(1, new int[][] {{3, 0}, {3, 0}, {3, 0}, {3, 0}});
        use.add(0, new int[][] {{3, 2}}); // another text: its first token comes after none
        use.add(1, new int[][] {{3, 0}});
        assertEquals(5, use.tokens());
        assertEquals(0.6, use.share(0, 1));
        assertEquals(1.0, use.share(1, 3));
        assertEquals(0.0, use.leastShare());
        assertEquals(2.0 / 3, use.repeatedShare(0, 1), 1e-12); // of three, two after themselves
        assertEquals(0.0, use.repeatedShare(0, 3));
        assertEquals(0.6, use.repeatedShare(1, 0), 1e-12); // the first token of either text comes after none
        List<String> lines = use.csv().lines().toList();
        assertEquals("layer,expert,tokens,share,after_itself,with_0,with_1,with_2,with_3", lines.getFirst());
        assertEquals("0,1,3,0.600000,0.666667,2,0,1,0", lines.get(2));
        assertEquals("1,3,5,1.000000,0.600000,5,0,0,0", lines.getLast());
        assertEquals(1 + 2 * 4, lines.size());
        String svg = use.svg("a < b", 2);
        assertTrue(svg.contains("a &lt; b") && svg.contains("60.0 %"), svg);
    }

    /** Chunks make no difference, and the last token's experts in layer 0 are those that the golden data states. */
    @Test
    void theRoutingIsTheGoldenOne() throws Exception {
        GoldenModels.Prompt prompt = GoldenModels.prompts("nano-F16.gguf").getFirst();
        List<List<List<Integer>>> runs = new ArrayList<>();
        for (int chunk : new int[] {1, 7, prompt.tokens().length}) {
            List<List<Integer>> experts = new ArrayList<>();
            try (Model model = Model.open(TestData.golden("nano-F16.gguf"));
                    Device device = Backends.open("reference", new OpenOptions(0))) {
                DecoderOptions options = DecoderOptions.of(
                                Activations.EXACT,
                                TensorType.F32,
                                DecoderOptions.blocksFor(prompt.tokens().length),
                                chunk)
                        .withRouting();
                try (Decoder decoder = Decoder.load(model, device, options, (done, total) -> {})) {
                    PromptRouting.run(decoder, prompt.tokens(), chunk, (layer, position, chosen) -> {
                        if (layer == 0) {
                            assertEquals(position, experts.size());
                            for (int[] row : chosen) {
                                experts.add(Arrays.stream(row).boxed().toList());
                            }
                        }
                    });
                }
            }
            runs.add(experts);
        }
        assertEquals(runs.get(0), runs.get(1));
        assertEquals(runs.get(0), runs.get(2));
        assertEquals(prompt.tokens().length, runs.getFirst().size());
        JsonNode stated = JsonMapper.builder()
                .build()
                .readTree(TestData.golden("nano.json").toFile())
                .at("/files/nano-F16.gguf/logits/0/experts_layer0_last");
        assertEquals(
                stated.valueStream().map(JsonNode::asInt).toList(),
                runs.getFirst().getLast());
    }
}
