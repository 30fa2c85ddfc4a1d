package io.talaria.sampling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SamplerTest {
    private static final int DRAWS = 20_000;

    private static SamplingParameters parameters(double temperature, int topK, double topP, double minP, long seed) {
        return new SamplingParameters(temperature, topK, topP, minP, 1, 0, 0, 0, Map.of(), seed);
    }

    /** Ids that are not ranks, so that one cannot pass for the other. */
    private static Candidates candidates(OptionalDouble logSumExp, double... logits) {
        int[] tokens =
                IntStream.range(0, logits.length).map(rank -> 1000 - rank).toArray();
        float[] values = new float[logits.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) logits[i];
        }
        return new Candidates(tokens, values, logSumExp);
    }

    private static double[] randomLogits(SplittableRandom random, int count) {
        double[] logits = random.doubles(count, -6, 3).toArray();
        Arrays.sort(logits);
        return IntStream.range(0, count).mapToDouble(i -> logits[count - 1 - i]).toArray();
    }

    /** The filters as they are defined, on probabilities: what each candidate is chosen with. */
    private static double[] expected(SamplingParameters p, Candidates c) {
        int count = c.logits().length;
        int k = p.topK() == 0 ? count : Math.min(p.topK(), count);
        double normaliser = 0;
        for (int i = 0; i < k; i++) {
            normaliser += Math.exp(c.logits()[i]);
        }
        if (p.topK() == 0 && c.logSumExp().isPresent()) {
            normaliser = Math.exp(c.logSumExp().getAsDouble());
        }
        double[] chosen = new double[count];
        double before = 0;
        double total = 0;
        for (int i = 0; i < k; i++) {
            double probability = Math.exp(c.logits()[i]) / normaliser;
            boolean inNucleus = p.topP() == 1 || before < p.topP();
            boolean likely = probability >= p.minP() * Math.exp(c.logits()[0]) / normaliser;
            if (i == 0 || inNucleus && likely) {
                chosen[i] = Math.exp(c.logits()[i] / p.temperature());
                total += chosen[i];
            }
            before += probability;
        }
        for (int i = 0; i < count; i++) {
            chosen[i] /= total;
        }
        return chosen;
    }

    /** Pearson's test at one in a thousand; rare candidates are put together. */
    private static void check(SamplingParameters p, Candidates c) {
        double[] probabilities = expected(p, c);
        Sampler sampler = new Sampler(p);
        int[] seen = new int[probabilities.length];
        for (int i = 0; i < DRAWS; i++) {
            seen[1000 - sampler.choose(c)]++;
        }
        double statistic = 0;
        double rareExpected = 0;
        double rareSeen = 0;
        int cells = 0;
        for (int i = 0; i < seen.length; i++) {
            double mean = probabilities[i] * DRAWS;
            if (mean == 0) {
                assertEquals(0, seen[i], p + ": candidate " + i + " was filtered out");
            } else if (mean < 10) {
                rareExpected += mean;
                rareSeen += seen[i];
            } else {
                statistic += (seen[i] - mean) * (seen[i] - mean) / mean;
                cells++;
            }
        }
        if (rareExpected > 0) {
            statistic += (rareSeen - rareExpected) * (rareSeen - rareExpected) / Math.max(rareExpected, 10);
            cells++;
        }
        assertTrue(
                statistic <= criticalValue(Math.max(1, cells - 1)), p + ": " + statistic + " of " + cells + " cells");
    }

    /** Wilson and Hilferty's approximation for a level of 0.001. */
    private static double criticalValue(int freedom) {
        double spread = 2.0 / (9 * freedom);
        return freedom * Math.pow(1 - spread + 3.0902 * Math.sqrt(spread), 3);
    }

    @Test
    void drawsFollowTheirProbabilities() {
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < 60; i++) {
            double[] logits = randomLogits(random, 1 + random.nextInt(80));
            double sum = Arrays.stream(logits).map(Math::exp).sum();
            OptionalDouble whole = switch (i % 3) {
                case 0 -> OptionalDouble.empty();
                case 1 -> OptionalDouble.of(Math.log(sum));
                default -> OptionalDouble.of(Math.log(sum * 1.3)); // the vocabulary has more than the candidates
            };
            SamplingParameters p = parameters(
                    new double[] {0.3, 0.8, 1, 2.5}[random.nextInt(4)],
                    new int[] {0, 1, 5, 40, 500}[random.nextInt(5)],
                    new double[] {1, 0.95, 0.6, 0.1}[random.nextInt(4)],
                    new double[] {0, 0.05, 0.5}[random.nextInt(3)],
                    i);
            check(p, candidates(whole, logits));
        }
    }

    @Test
    void zeroIsExactlyGreedy() {
        Candidates c = candidates(OptionalDouble.empty(), 1, 1, 0.999);
        Sampler greedy = new Sampler(SamplingParameters.GREEDY);
        assertEquals(1, greedy.candidates());
        for (int i = 0; i < 1000; i++) {
            assertEquals(1000, greedy.choose(c));
        }
    }

    @Test
    void eachFilterHasItsBorder() {
        double[] logits = {Math.log(0.5), Math.log(0.25), Math.log(0.15), Math.log(0.1)};
        Candidates c = candidates(OptionalDouble.of(0), logits);
        assertEquals(List.of(1000, 999), support(parameters(1, 0, 0.7, 0, 1), c));
        assertEquals(List.of(1000, 999, 998), support(parameters(1, 0, 0.76, 0, 1), c));
        assertEquals(List.of(1000), support(parameters(1, 0, 0, 0, 1), c));
        assertEquals(List.of(1000, 999), support(parameters(1, 0, 1, 0.4, 1), c));
        assertEquals(List.of(1000), support(parameters(1, 0, 1, 1, 1), c));
        assertEquals(List.of(1000, 999, 998), support(parameters(1, 3, 1, 0, 1), c));
        Candidates ties = candidates(OptionalDouble.of(1), 0.3, 0.3, 0.2);
        assertEquals(List.of(1000, 999), support(parameters(1, 0, 1, 1, 1), ties));
        // Top-p counts among what top-k has left: 0.5 of 0.75 is less than 0.7.
        assertEquals(List.of(1000, 999), support(parameters(1, 2, 0.7, 0, 1), c));
        assertEquals(List.of(1000), support(parameters(1, 2, 0.66, 0, 1), c));
        // The filters see the model's own probabilities, whatever the temperature.
        assertEquals(List.of(1000, 999), support(parameters(50, 0, 0.7, 0, 1), c));
        assertEquals(List.of(1000, 999), support(parameters(50, 0, 1, 0.4, 1), c));
    }

    private static List<Integer> support(SamplingParameters p, Candidates c) {
        Sampler sampler = new Sampler(p);
        List<Integer> seen = new ArrayList<>();
        for (int i = 0; i < 3000; i++) {
            int token = sampler.choose(c);
            if (!seen.contains(token)) {
                seen.add(token);
            }
        }
        seen.sort((a, b) -> b - a);
        return seen;
    }

    @Test
    void candidatesThatAreAllExcludedStillGiveOne() {
        double none = Double.NEGATIVE_INFINITY;
        Candidates c = candidates(OptionalDouble.empty(), none, none);
        assertTrue(new Sampler(parameters(1, 0, 0.9, 0.1, 1)).choose(c) >= 999);
    }

    @Test
    void itAsksForAsManyAsItLooksAt() {
        assertEquals(1024, new Sampler(parameters(1, 0, 1, 0, 1)).candidates());
        assertEquals(40, new Sampler(parameters(1, 40, 1, 0, 1)).candidates());
        assertEquals(1024, new Sampler(parameters(1, 5000, 1, 0, 1)).candidates());
        SplittableRandom random = new SplittableRandom(2);
        double[] logits = randomLogits(random, 100);
        Sampler few = new Sampler(parameters(1.5, 7, 0.9, 0, 3));
        Sampler same = new Sampler(parameters(1.5, 7, 0.9, 0, 3));
        for (int i = 0; i < 200; i++) {
            int expected = few.choose(candidates(OptionalDouble.empty(), Arrays.copyOf(logits, 7)));
            assertEquals(expected, same.choose(candidates(OptionalDouble.empty(), logits)));
        }
    }

    /** Seeds are to give the same text in later versions too. The numbers are those of SplitMix64, reckoned apart. */
    @Test
    void aSeedGivesTheSameTokensForEver() {
        Candidates c = candidates(OptionalDouble.empty(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        Sampler sampler = new Sampler(parameters(1, 0, 1, 0, 42));
        int[] drawn = IntStream.range(0, 12).map(i -> 1000 - sampler.choose(c)).toArray();
        assertArrayEquals(new int[] {7, 1, 2, 3, 0, 8, 2, 8, 3, 6, 2, 4}, drawn, Arrays.toString(drawn));
    }

    @Test
    void parametersHaveRanges() {
        assertThrows(IllegalArgumentException.class, () -> parameters(-0.1, 0, 1, 0, 1));
        assertThrows(IllegalArgumentException.class, () -> parameters(Double.NaN, 0, 1, 0, 1));
        assertThrows(IllegalArgumentException.class, () -> parameters(1, -1, 1, 0, 1));
        assertThrows(IllegalArgumentException.class, () -> parameters(1, 0, 1.01, 0, 1));
        assertThrows(IllegalArgumentException.class, () -> parameters(1, 0, 1, -0.01, 1));
        IllegalArgumentException bad = assertThrows(
                IllegalArgumentException.class,
                () -> new SamplingParameters(1, 0, 1, 0, 1, 0, 0, 0, Map.of(7, Float.NaN), 1));
        assertEquals("logit bias of token 7 NaN: it must be from -1000000 to 1000000", bad.getMessage());
    }
}
