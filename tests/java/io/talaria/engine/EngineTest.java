package io.talaria.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GoldenModels;
import io.talaria.GoldenModels.Prompt;
import io.talaria.backend.Activations;
import io.talaria.engine.EngineRig.Reply;
import io.talaria.engine.EngineRig.Setting;
import io.talaria.sampling.SamplingParameters;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class EngineTest {
    private static Setting setting(String device) {
        return device.equals("cpu") ? Setting.CPU : Setting.REFERENCE;
    }

    private static int argMax(float[] logits) {
        int best = 0;
        for (int i = 1; i < logits.length; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        return best;
    }

    @ParameterizedTest
    @ValueSource(strings = {"reference", "cpu"})
    void theNextTokenIsThatOfTheGoldenLogits(String device) throws IOException {
        for (Prompt prompt : GoldenModels.prompts(EngineRig.NANO).subList(0, 2)) {
            int expected = argMax(prompt.logits()[prompt.logits().length - 1]);
            try (EngineRig rig = new EngineRig(setting(device))) {
                Reply reply = rig.submit(EngineRig.greedy(prompt.tokens(), 1));
                assertEquals(List.of(expected), reply.text());
            }
        }
    }

    @Test
    void devicesAndChunksWriteTheSameText() throws IOException {
        int[] prompt = GoldenModels.prompts(EngineRig.NANO).getFirst().tokens();
        Set<List<Integer>> texts = new HashSet<>();
        for (Setting setting : List.of(
                Setting.REFERENCE.chunk(64), Setting.CPU.chunk(7), Setting.CPU.chunk(1), Setting.CPU.chunk(64))) {
            try (EngineRig rig = new EngineRig(setting)) {
                texts.add(rig.submit(EngineRig.greedy(prompt, 40)).text());
            }
        }
        assertEquals(1, texts.size(), texts::toString);
        assertEquals(40, texts.iterator().next().size());
    }

    /** Requests of all kinds; some begin alike. */
    private static List<Request> mixedRequests(int count) {
        SplittableRandom random = new SplittableRandom(11);
        int[] common = EngineRig.random(random, 100);
        List<Request> requests = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int[] own = EngineRig.random(random, 1 + random.nextInt(70));
            int shared = random.nextBoolean() ? random.nextInt(100) : 0;
            int[] prompt = IntStream.concat(Arrays.stream(common, 0, shared), Arrays.stream(own))
                    .toArray();
            SamplingParameters sampling = switch (i % 4) {
                case 0 -> SamplingParameters.GREEDY;
                case 1 -> new SamplingParameters(1, 40, 0.95, 0.05, 1, 0, 0, 0, Map.of(), i);
                case 2 -> new SamplingParameters(1.5, 0, 0.9, 0, 1, 0, 0, 0, Map.of(), i);
                default -> new SamplingParameters(0.8, 20, 1, 0, 1.2, 20, 0.5, 0.3, Map.of(7, 2f), i);
            };
            requests.add(new Request(prompt, 1 + random.nextInt(30), Set.of(2), sampling));
        }
        return requests;
    }

    /** The answer of an engine that has never seen anything else. */
    private static List<Integer> alone(Setting setting, Request request) throws IOException {
        try (EngineRig rig = new EngineRig(setting)) {
            return rig.submit(request).text();
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Activations.class,
            names = {"HALF", "INT8"})
    void inAnyCompanyTheAnswerIsThatOfTheRequestAlone(Activations activations) throws Exception {
        List<Request> requests = mixedRequests(32);
        // A cache of 12 blocks is too small for six texts: some are put back and begin again.
        Setting crowded = Setting.CPU.activations(activations).cache(12, 256);
        try (EngineRig rig = new EngineRig(crowded)) {
            List<Reply> replies = new ArrayList<>();
            List<Thread> threads = new ArrayList<>();
            for (Request request : requests) {
                Reply reply = new Reply(token -> {});
                replies.add(reply);
                threads.add(Thread.ofVirtual().start(() -> rig.engine.submit(request, reply)));
            }
            for (Thread thread : threads) {
                thread.join();
            }
            for (int i = 0; i < requests.size(); i++) {
                assertEquals(
                        alone(crowded.chunk(64), requests.get(i)),
                        replies.get(i).text(),
                        "request " + i);
            }
            assertEquals(0, rig.engine.usage().blocksInUse());
        }
    }

    @Test
    void aSharedBeginningIsComputedOnce() throws IOException {
        int[] prompt = EngineRig.random(new SplittableRandom(1), 75);
        SamplingParameters sampling = new SamplingParameters(1, 0, 1, 0, 1, 0, 0, 0, Map.of(), 3);
        Request first = new Request(prompt, 30, Set.of(), sampling);
        List<Integer> expected = alone(Setting.CPU, first);
        try (EngineRig rig = new EngineRig(Setting.CPU)) {
            Reply cold = rig.submit(first);
            assertEquals(0, cold.await().cachedTokens());
            Reply warm = rig.submit(first);
            assertEquals(64, warm.await().cachedTokens(), "two whole blocks; the third is not full");
            assertEquals(expected, cold.text());
            assertEquals(expected, warm.text());

            // The conversation goes on: 75 + 29 tokens are in the cache, as the last one was never read.
            int[] next = IntStream.concat(
                            IntStream.concat(
                                    Arrays.stream(prompt), expected.stream().mapToInt(t -> t)),
                            IntStream.of(9, 10, 11))
                    .toArray();
            Request second = new Request(next, 20, Set.of(), sampling);
            Reply reply = rig.submit(second);
            assertEquals(96, reply.await().cachedTokens());
            assertEquals(alone(Setting.CPU, second), reply.text());
            assertEquals(0, rig.engine.usage().blocksInUse());
        }
    }

    @Test
    void theLastTokenOfAPromptIsAlwaysComputed() throws IOException {
        int[] prompt = EngineRig.random(new SplittableRandom(2), 64);
        try (EngineRig rig = new EngineRig(Setting.CPU)) {
            List<Integer> cold = rig.submit(EngineRig.greedy(prompt, 5)).text();
            Reply warm = rig.submit(EngineRig.greedy(prompt, 5));
            assertEquals(32, warm.await().cachedTokens());
            assertEquals(cold, warm.text());
        }
    }

    @Test
    void whatIsNotNeededMakesRoom() throws IOException {
        try (EngineRig rig = new EngineRig(Setting.CPU.cache(8, 256))) {
            SplittableRandom random = new SplittableRandom(4);
            int[] first = EngineRig.random(random, 100);
            List<Integer> expected = rig.submit(EngineRig.greedy(first, 10)).text();
            for (int i = 0; i < 10; i++) {
                rig.submit(EngineRig.greedy(EngineRig.random(random, 150), 10)).await();
                assertEquals(0, rig.engine.usage().blocksInUse());
                assertTrue(rig.engine.usage().blocksCached() <= 8);
            }
            Reply again = rig.submit(EngineRig.greedy(first, 10));
            assertEquals(0, again.await().cachedTokens(), "all of it has been evicted");
            assertEquals(expected, again.text());
        }
    }

    @Test
    void anAnswerEndsWhereTheContextIsFull() throws IOException {
        int[] prompt = EngineRig.random(new SplittableRandom(6), 60);
        try (EngineRig rig = new EngineRig(Setting.CPU.cache(3, 70))) {
            Completion full = rig.submit(EngineRig.greedy(prompt, 1000)).await();
            assertEquals(FinishReason.LENGTH, full.reason());
            assertEquals(10, full.completionTokens());
            int[] tooLong = EngineRig.random(new SplittableRandom(6), 70);
            ContextFullException refused =
                    assertThrows(ContextFullException.class, () -> rig.submit(EngineRig.greedy(tooLong, 1)));
            assertTrue(refused.getMessage().contains("70 tokens and the context 70"), refused.getMessage());
            assertEquals(
                    1,
                    rig.submit(EngineRig.greedy(Arrays.copyOf(tooLong, 69), 5))
                            .text()
                            .size());
        }
    }

    @Test
    void requestsAreChecked() throws IOException {
        try (EngineRig rig = new EngineRig(Setting.CPU)) {
            assertThrows(IllegalArgumentException.class, () -> EngineRig.greedy(new int[0], 1));
            assertThrows(IllegalArgumentException.class, () -> EngineRig.greedy(new int[] {1}, 0));
            for (int token : new int[] {-1, 512}) {
                assertThrows(IllegalArgumentException.class, () -> rig.submit(EngineRig.greedy(new int[] {token}, 1)));
                SamplingParameters biased = new SamplingParameters(1, 0, 1, 0, 1, 0, 0, 0, Map.of(token, 1f), 1);
                Request request = new Request(new int[] {1}, 1, Set.of(), biased);
                assertThrows(IllegalArgumentException.class, () -> rig.submit(request));
            }
            assertEquals(0, rig.engine.usage().waiting());
        }
    }

    @Test
    void penaltiesAndBiasesReachTheDevice() throws IOException {
        int[] prompt = EngineRig.random(new SplittableRandom(8), 20);
        try (EngineRig rig = new EngineRig(Setting.CPU)) {
            SamplingParameters biased = new SamplingParameters(0, 0, 1, 0, 1, 0, 0, 0, Map.of(77, 1000f), 1);
            List<Integer> same =
                    rig.submit(new Request(prompt, 10, Set.of(), biased)).text();
            assertEquals(Set.of(77), Set.copyOf(same));

            SamplingParameters fresh = new SamplingParameters(0, 0, 1, 0, 1, 0, 100, 0, Map.of(77, 50f), 1);
            List<Integer> different =
                    rig.submit(new Request(prompt, 60, Set.of(), fresh)).text();
            assertEquals(77, different.getFirst());
            assertEquals(60, Set.copyOf(different).size(), "each token once");

            // A stop token counts but is no text.
            Reply stopped = rig.submit(new Request(prompt, 10, Set.of(77), biased));
            assertEquals(FinishReason.STOP, stopped.await().reason());
            assertEquals(1, stopped.await().completionTokens());
            assertEquals(List.of(), stopped.text());
        }
    }

    /** The log-sum-exp of the model's own logits says nothing of biased ones: of two tokens, one has half of all mass. */
    @Test
    void topPCountsBiasedProbabilities() throws IOException {
        int[] prompt = EngineRig.random(new SplittableRandom(8), 20);
        Map<Integer, Float> allButTwo = new HashMap<>();
        IntStream.range(0, 512)
                .filter(token -> token != 77 && token != 78)
                .forEach(token -> allButTwo.put(token, -1e4f));
        try (EngineRig rig = new EngineRig(Setting.CPU)) {
            SamplingParameters best = new SamplingParameters(0, 0, 1, 0, 1, 0, 0, 0, allButTwo, 1);
            SamplingParameters nucleus = new SamplingParameters(1, 0, 0.49, 0, 1, 0, 0, 0, allButTwo, 1);
            SamplingParameters both = new SamplingParameters(1, 0, 1, 0, 1, 0, 0, 0, allButTwo, 1);
            List<Integer> expected =
                    rig.submit(new Request(prompt, 40, Set.of(), best)).text();
            assertEquals(
                    expected,
                    rig.submit(new Request(prompt, 40, Set.of(), nucleus)).text());
            assertEquals(
                    Set.of(77, 78),
                    Set.copyOf(
                            rig.submit(new Request(prompt, 40, Set.of(), both)).text()));
        }
    }

    /** Biases put the tokens in order, and the heat makes all candidates alike: what is drawn shows how many there are. */
    @Test
    void thereAreAsManyCandidatesAsTopKSays() throws IOException {
        int[] prompt = EngineRig.random(new SplittableRandom(8), 20);
        Map<Integer, Float> order = new HashMap<>();
        IntStream.range(0, 512).forEach(token -> order.put(token, -100f * token));
        try (EngineRig rig = new EngineRig(Setting.CPU)) {
            for (int k : new int[] {1, 40, 64, 65, 300, 0}) {
                SamplingParameters hot = new SamplingParameters(1e9, k, 1, 0, 1, 0, 0, 0, order, 1);
                List<Integer> drawn =
                        rig.submit(new Request(prompt, 200, Set.of(), hot)).text();
                int largest = drawn.stream().mapToInt(Integer::intValue).max().orElseThrow();
                int most = k == 0 ? 512 : k;
                assertTrue(largest < most && largest >= most * 0.9 - 1, k + ": " + largest);
            }
        }
    }
}
