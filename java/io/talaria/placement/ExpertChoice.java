package io.talaria.placement;

import io.talaria.model.ModelConfig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.function.IntToDoubleFunction;

/**
 * How likely the tokens of a layer are to use which experts together: a probability for every set of K of the E experts. A
 * set is a mask, bit {@code e} for expert {@code e}.
 */
public final class ExpertChoice {
    /** Sets are counted out one by one, and of so many experts that is still nothing. */
    public static final int MOST_EXPERTS = 16;

    private final int experts;
    private final int[] sets;
    private final double[] probabilities;

    private ExpertChoice(int experts, int[] sets, double[] weights) {
        double sum = Arrays.stream(weights).sum();
        if (!(sum > 0)) {
            throw new IllegalArgumentException("no experts were chosen");
        }
        this.experts = experts;
        this.sets = sets;
        this.probabilities = Arrays.stream(weights).map(weight -> weight / sum).toArray();
    }

    /**
     * Every set of experts as likely as any other.
     *
     * @throws IllegalArgumentException if there are more than {@link #MOST_EXPERTS}
     */
    public static ExpertChoice even(int experts, int used) {
        if (experts < 1 || experts > MOST_EXPERTS || used < 1 || used > experts) {
            throw new IllegalArgumentException(
                    "what " + used + " of " + experts + " experts do is simulated up to " + MOST_EXPERTS + " experts");
        }
        int[] sets = sets(experts, used);
        double[] weights = new double[sets.length];
        Arrays.fill(weights, 1);
        return new ExpertChoice(experts, sets, weights);
    }

    /** The same for every layer of a model. */
    public static List<ExpertChoice> evenLayers(ModelConfig config) {
        return Collections.nCopies(config.layers(), even(config.experts(), config.expertsUsed()));
    }

    /**
     * As it was counted, for models that use two experts a token.
     *
     * @param together {@code [E][E]}: how many tokens used these two; the half above the diagonal counts
     * @throws IllegalArgumentException if nothing was counted, or of too many experts
     */
    public static ExpertChoice ofPairs(long[][] together) {
        ExpertChoice even = even(together.length, 2);
        double[] weights = Arrays.stream(even.sets)
                .mapToDouble(set ->
                        together[Integer.numberOfTrailingZeros(set)][Integer.numberOfTrailingZeros(set & (set - 1))])
                .toArray();
        return new ExpertChoice(together.length, even.sets, weights);
    }

    private static int[] sets(int experts, int used) {
        List<Integer> sets = new ArrayList<>();
        for (int set = 0; set < 1 << experts; set++) {
            if (Integer.bitCount(set) == used) {
                sets.add(set);
            }
        }
        return sets.stream().mapToInt(set -> set).toArray();
    }

    public int experts() {
        return experts;
    }

    /** The mean of what a set costs. */
    public double mean(IntToDoubleFunction costOfSet) {
        double mean = 0;
        for (int i = 0; i < sets.length; i++) {
            mean += probabilities[i] * costOfSet.applyAsDouble(sets[i]);
        }
        return mean;
    }

    /** Of all tokens the share that uses this expert; all together they add up to K. */
    public double share(int expert) {
        return mean(set -> has(set, expert) ? 1 : 0);
    }

    static boolean has(int set, int expert) {
        return (set >> expert & 1) != 0;
    }

    /**
     * How many of a token's experts are not among those that were used last, if so many are kept: the misses of a
     * least-recently-used cache, where tokens follow one another at random.
     *
     * <p>Exact: look back from the token. The set of experts that were met only grows, and an expert is in the cache if it is
     * met while there is room. Of the experts of one token the order is open.
     *
     * @param kept experts in the cache
     */
    public double misses(int kept) {
        double[] cached = new double[experts]; // the probability that an expert is in the cache
        double[] reached = new double[1 << experts]; // that looking back, exactly these are met at some time
        reached[0] = 1;
        for (int met = 0; met < reached.length; met++) {
            int room = kept - Integer.bitCount(met);
            if (reached[met] == 0 || room <= 0) {
                continue;
            }
            int already = met;
            double goesOn = mean(set -> (set & ~already) == 0 ? 0 : 1);
            for (int i = 0; i < sets.length && goesOn > 0; i++) {
                int fresh = sets[i] & ~met;
                double probability = reached[met] * probabilities[i] / goesOn;
                if (fresh != 0 && probability > 0) {
                    reached[met | fresh] += probability;
                    double enters = Math.min(1, (double) room / Integer.bitCount(fresh));
                    for (int expert = 0; expert < experts; expert++) {
                        cached[expert] += has(fresh, expert) ? probability * enters : 0;
                    }
                }
            }
        }
        double misses = 0;
        for (int expert = 0; expert < experts; expert++) {
            misses += share(expert) * (1 - cached[expert]);
        }
        return Math.max(0, misses);
    }
}
