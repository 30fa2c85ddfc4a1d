package io.talaria.backend.reference;

import io.talaria.backend.Batch;
import java.util.stream.IntStream;

/** Adjusting, choosing and summing up the logits of a wanted row. */
final class Logits {
    private Logits() {}

    /** Fills one row of {@code top} (see {@link io.talaria.backend.TopLogits}) from a row of logits. */
    static void choose(double[] plain, Batch batch, int wanted, int k, int[] top, int at) {
        double[] adjusted = plain.clone();
        for (int i = batch.adjustmentsBegin(wanted); i < batch.adjustmentsBegin(wanted + 1); i++) {
            double logit = adjusted[batch.adjustedToken(i)];
            double penalised = logit > 0 ? logit / batch.penalty(i) : logit * batch.penalty(i);
            adjusted[batch.adjustedToken(i)] = penalised + batch.added(i);
        }
        // Sorting is stable, so equal logits stay in order of their ids.
        int[] best = IntStream.range(0, plain.length)
                .filter(id -> !Double.isNaN(adjusted[id]) && batch.allowed(wanted, id))
                .boxed()
                .sorted((a, b) -> Double.compare(adjusted[b] + 0.0, adjusted[a] + 0.0))
                .limit(k)
                .mapToInt(Integer::intValue)
                .toArray();
        for (int i = 0; i < k; i++) {
            boolean found = i < best.length;
            top[at + i] = found ? best[i] : -1;
            top[at + k + i] = bits(found ? adjusted[best[i]] : Double.NEGATIVE_INFINITY);
            top[at + 2 * k + i] = bits(found ? plain[best[i]] : Double.NEGATIVE_INFINITY);
        }
        double total = logSumExp(plain);
        top[at + 3 * k] = bits(total);
        for (int slot = 0; slot < batch.shape().targets(); slot++) {
            int target = batch.target(wanted, slot);
            top[at + 3 * k + 1 + slot] = bits(target < 0 ? 0 : plain[target] - total);
        }
    }

    private static double logSumExp(double[] logits) {
        double largest = Double.NEGATIVE_INFINITY;
        for (double logit : logits) {
            if (Double.isNaN(logit)) {
                return Double.NaN;
            }
            largest = Math.max(largest, logit);
        }
        double sum = 0;
        for (double logit : logits) {
            sum += Math.exp(logit - largest);
        }
        return largest + Math.log(sum);
    }

    private static int bits(double value) {
        return Float.floatToRawIntBits((float) value);
    }
}
