package io.talaria.sampling;

import java.util.SplittableRandom;

/**
 * Chooses the next token of one text.
 *
 * <p>The order is llama.cpp's: penalties and biases (already in the candidates' logits, see {@link Penalties}), top-k,
 * top-p, min-p, and the temperature last, so that the filters see the model's own probabilities whatever the
 * temperature. A filter never removes the most likely token.
 *
 * <ol>
 *   <li>Top-k keeps the k most likely candidates.
 *   <li>Top-p keeps the fewest of them whose probabilities add up to p. Probabilities are relative to what top-k has
 *       kept. Without top-k they are relative to the whole vocabulary where {@link Candidates#logSumExp} is known, and
 *       to the candidates where it is not.
 *   <li>Min-p keeps those at least p times as likely as the most likely one.
 *   <li>One of the rest is drawn, with probabilities proportional to {@code exp(logit / temperature)}.
 * </ol>
 *
 * <p>Each token above temperature 0 takes exactly one number of a {@link SplittableRandom} that begins with the seed; so
 * the same logits and seed give the same tokens. Not for use by several threads at once.
 */
public final class Sampler {
    /** The most candidates that are looked at. */
    public static final int MAX_CANDIDATES = 1024;

    private final SamplingParameters parameters;
    private final SplittableRandom random;
    private final double[] weights;

    public Sampler(SamplingParameters parameters) {
        this.parameters = parameters;
        random = new SplittableRandom(parameters.seed());
        weights = new double[candidates()];
    }

    /** How many candidates this sampler looks at; more make no difference. */
    public int candidates() {
        if (parameters.temperature() == 0) {
            return 1;
        }
        return parameters.topK() == 0 ? MAX_CANDIDATES : Math.min(parameters.topK(), MAX_CANDIDATES);
    }

    /** The token that comes next. */
    public int choose(Candidates candidates) {
        if (parameters.temperature() == 0) {
            return candidates.tokens()[0];
        }
        float[] logits = candidates.logits();
        double drawn = random.nextDouble();
        int kept = Math.min(weights.length, logits.length);
        double total = weigh(logits, kept, 1);
        if (parameters.topK() == 0 && candidates.logSumExp().isPresent()) {
            total = Math.exp(candidates.logSumExp().getAsDouble() - logits[0]);
        }
        kept = minP(topP(kept, total));
        double target = drawn * weigh(logits, kept, parameters.temperature());
        return candidates.tokens()[reach(target, kept)];
    }

    /** Sets the weights of the first candidates, relative to the best one's, and returns their sum. */
    private double weigh(float[] logits, int count, double temperature) {
        double total = 0;
        for (int i = 0; i < count; i++) {
            // The comparison is for candidates that are all minus infinity.
            weights[i] = logits[i] == logits[0] ? 1 : Math.exp(((double) logits[i] - logits[0]) / temperature);
            total += weights[i];
        }
        return total;
    }

    private int topP(int kept, double total) {
        double mass = 0;
        for (int i = 0; i < kept && parameters.topP() < 1; i++) {
            mass += weights[i];
            if (mass >= parameters.topP() * total) {
                return i + 1;
            }
        }
        return kept;
    }

    private int minP(int kept) {
        int likely = kept;
        while (likely > 1 && weights[likely - 1] < parameters.minP()) {
            likely--;
        }
        return likely;
    }

    /** The first candidate with which the weights add up to more than the target. */
    private int reach(double target, int count) {
        double sum = 0;
        for (int i = 0; i < count - 1; i++) {
            sum += weights[i];
            if (sum > target) {
                return i;
            }
        }
        return count - 1;
    }
}
