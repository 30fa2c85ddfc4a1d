package io.talaria.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class PenaltiesTest {
    /** What is to be done to a logit. */
    private record Adjustment(float penalty, float add) {}

    private static SamplingParameters parameters(
            double repeat, int lastN, double presence, double frequency, Map<Integer, Float> bias) {
        return new SamplingParameters(1, 0, 1, 0, repeat, lastN, presence, frequency, bias, 0);
    }

    private static Map<Integer, Adjustment> adjustments(Penalties penalties) {
        Map<Integer, Adjustment> all = new TreeMap<>();
        penalties.forEach((token, penalty, add) -> {
            Adjustment twice = all.put(token, new Adjustment(penalty, add));
            assertEquals(null, twice, "token " + token + " is adjusted twice");
        });
        assertEquals(penalties.count(), all.size());
        return all;
    }

    /** The definition, from the whole text; what changes nothing is left out. */
    private static Map<Integer, Adjustment> expected(SamplingParameters p, List<Integer> prompt, List<Integer> answer) {
        List<Integer> text = new ArrayList<>(prompt);
        text.addAll(answer);
        int window = p.repeatLastN() < 0 ? text.size() : Math.min(p.repeatLastN(), text.size());
        List<Integer> last = text.subList(text.size() - window, text.size());
        Map<Integer, Adjustment> all = new TreeMap<>();
        for (int token = 0; token < 12; token++) {
            int count = Collections.frequency(answer, token);
            double add = p.logitBias().getOrDefault(token, 0f)
                    - (count > 0 ? p.presencePenalty() : 0)
                    - count * p.frequencyPenalty();
            float penalty = last.contains(token) ? (float) p.repeatPenalty() : 1;
            if (penalty != 1 || (float) add != 0) {
                all.put(token, new Adjustment(penalty, (float) add));
            }
        }
        return all;
    }

    @Test
    void theyFollowTheirDefinition() {
        SplittableRandom random = new SplittableRandom(5);
        for (int i = 0; i < 300; i++) {
            SamplingParameters p = parameters(
                    random.nextBoolean() ? 1 : 1.3,
                    random.nextInt(-1, 9),
                    random.nextBoolean() ? 0 : 0.4,
                    random.nextBoolean() ? 0 : 0.7,
                    random.nextBoolean() ? Map.of() : Map.of(3, -2f, 5, 100f));
            Penalties penalties = new Penalties(p);
            List<Integer> prompt = new ArrayList<>();
            List<Integer> answer = new ArrayList<>();
            for (int j = random.nextInt(6); j > 0; j--) {
                prompt.add(random.nextInt(12));
                penalties.prompt(prompt.getLast());
            }
            for (int j = 0; j < 20; j++) {
                assertEquals(expected(p, prompt, answer), adjustments(penalties), p + " " + prompt + answer);
                answer.add(random.nextInt(12));
                penalties.answer(answer.getLast());
            }
        }
    }

    @Test
    void withoutPenaltiesNothingIsKept() {
        Penalties none = new Penalties(parameters(1, 64, 0, 0, Map.of()));
        for (int i = 0; i < 100; i++) {
            none.prompt(i);
            none.answer(i);
        }
        assertEquals(0, none.count());
    }
}
