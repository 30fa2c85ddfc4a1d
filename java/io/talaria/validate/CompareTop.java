package io.talaria.validate;

import io.talaria.backend.Batch;
import io.talaria.backend.TopLogits;
import io.talaria.validate.Verbs.Top;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/**
 * What {@code topLogits} returns: the logits against the reference's, and the choice among them against what follows from
 * logits, adjustments and mask. Where the device returns its logits, the choice is checked on those, and exactly but for
 * the last bits; else on the reference's, within the bound.
 */
final class CompareTop {
    /** Relative to the largest logit: adjusting and summing up in float32. */
    private static final double LAST_BITS = 1e-6;

    private final Batch batch;
    private final int k;
    private final int vocabulary;
    private final double bound;

    CompareTop(Batch batch, int k, int vocabulary, double bound) {
        this.batch = batch;
        this.k = k;
        this.vocabulary = vocabulary;
        this.bound = bound;
    }

    /** @param expected keeps its logits */
    List<Finding> findings(Top computed, Top expected) {
        List<Finding> findings = new ArrayList<>();
        float[] right = expected.logits().orElseThrow();
        computed.logits().ifPresent(logits -> findings.add(Compare.rows("logits", logits, right, vocabulary, bound)));
        float[] basis = computed.logits().orElse(right);
        boolean own = computed.logits().isPresent();
        int nearTies = 0;
        for (int wanted = 0; wanted < batch.wanted(); wanted++) {
            float[] plain = new float[vocabulary];
            System.arraycopy(basis, wanted * vocabulary, plain, 0, vocabulary);
            Finding choice = new Row(wanted, plain, own).check(computed.top());
            nearTies += choice.nearTies();
            if (!choice.ok()) {
                findings.add(choice);
                return findings;
            }
        }
        findings.add(new Finding("choice", 0, bound, "", nearTies));
        return findings;
    }

    /** One wanted row. */
    private final class Row {
        private final int wanted;
        private final float[] plain;
        private final double[] adjusted;
        private final double tolerance;
        private final boolean ownLogits;
        private int nearTies;

        Row(int wanted, float[] plain, boolean ownLogits) {
            this.wanted = wanted;
            this.plain = plain;
            this.ownLogits = ownLogits;
            this.adjusted = new double[vocabulary];
            double largest = 1;
            for (int id = 0; id < vocabulary; id++) {
                adjusted[id] = plain[id];
            }
            for (int i = batch.adjustmentsBegin(wanted); i < batch.adjustmentsBegin(wanted + 1); i++) {
                int id = batch.adjustedToken(i);
                double logit = adjusted[id];
                adjusted[id] = (logit > 0 ? logit / batch.penalty(i) : logit * batch.penalty(i)) + batch.added(i);
            }
            for (int id = 0; id < vocabulary; id++) {
                largest = Math.max(largest, Math.max(Math.abs(plain[id]), Math.abs(adjusted[id])));
            }
            this.tolerance = (ownLogits ? LAST_BITS : Math.sqrt(bound)) * largest;
        }

        Finding check(TopLogits top) {
            int[] order = IntStream.range(0, vocabulary)
                    .filter(id -> batch.allowed(wanted, id))
                    .boxed()
                    .sorted((a, b) -> Double.compare(adjusted[b], adjusted[a]))
                    .limit(k)
                    .mapToInt(Integer::intValue)
                    .toArray();
            boolean[] taken = new boolean[vocabulary];
            for (int rank = 0; rank < k; rank++) {
                int right = rank < order.length ? order[rank] : -1;
                int id = top.token(wanted, rank);
                if (!sameRank(id, right) || (id >= 0 && taken[id])) {
                    return wrong("token " + rank, id, right);
                }
                if (id < 0) {
                    continue;
                }
                taken[id] = true;
                nearTies += id == right ? 0 : 1;
                int lower = lowerTie(id, taken);
                if (lower >= 0) {
                    return wrong("token " + rank + " of two that tie", id, lower);
                }
                if (far(top.adjustedLogit(wanted, rank), adjusted[id])) {
                    return wrong("adjusted logit of token " + id, top.adjustedLogit(wanted, rank), adjusted[id]);
                }
                if (far(top.logit(wanted, rank), plain[id])) {
                    return wrong("logit of token " + id, top.logit(wanted, rank), plain[id]);
                }
            }
            return checkSums(top);
        }

        /** The same id, or one whose value is too near to tell. */
        private boolean sameRank(int id, int right) {
            if (id < 0 || right < 0) {
                return id == right;
            }
            return id < vocabulary && batch.allowed(wanted, id) && !far(adjusted[id], adjusted[right]);
        }

        /** A lower id with the same logit that should have been taken before, or -1; known from the device's logits alone. */
        private int lowerTie(int id, boolean[] taken) {
            for (int lower = 0; ownLogits && lower < id; lower++) {
                if (adjusted[lower] == adjusted[id] && !taken[lower] && batch.allowed(wanted, lower)) {
                    return lower;
                }
            }
            return -1;
        }

        private Finding checkSums(TopLogits top) {
            double total = logSumExp();
            if (far(top.logSumExp(wanted), total)) {
                return wrong("log-sum-exp", top.logSumExp(wanted), total);
            }
            for (int slot = 0; slot < batch.shape().targets(); slot++) {
                int target = batch.target(wanted, slot);
                double right = target < 0 ? 0 : plain[target] - total;
                if (far(top.targetLogProbability(wanted, slot), right)) {
                    return wrong("log-probability of target " + slot, top.targetLogProbability(wanted, slot), right);
                }
            }
            return new Finding("choice", 0, bound, "", nearTies);
        }

        private double logSumExp() {
            double largest = Double.NEGATIVE_INFINITY;
            for (float logit : plain) {
                largest = Math.max(largest, logit);
            }
            double sum = 0;
            for (float logit : plain) {
                sum += Math.exp(logit - largest);
            }
            return largest + Math.log(sum);
        }

        /** Also if the number is none. */
        private boolean far(double computed, double expected) {
            return !(Math.abs(computed - expected) <= tolerance);
        }

        private Finding wrong(String what, double computed, double expected) {
            return Finding.wrong(
                    "choice",
                    bound,
                    String.format(Locale.ROOT, "row %d, %s is %.7g, expected %.7g", wanted, what, computed, expected));
        }

        private Finding wrong(String what, int computed, int expected) {
            return Finding.wrong(
                    "choice", bound, "row " + wanted + ", " + what + " is " + computed + ", expected " + expected);
        }
    }
}
