package io.talaria.sampling;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What repetition and biases do to the logits of one text's next token.
 *
 * <p>A logit becomes {@code (logit > 0 ? logit / penalty : logit * penalty) + add}. The penalty is the repeat penalty, for
 * each token among the last N of prompt and answer. What is added is the token's bias, less the presence penalty if the
 * token is in the answer, less the frequency penalty as often as it is there; the prompt does not count for these two.
 * Not for use by several threads at once.
 */
public final class Penalties {
    private final SamplingParameters parameters;
    private final boolean repeat;
    private final boolean counting;
    private final Deque<Integer> window = new ArrayDeque<>();
    private final Map<Integer, Tally> tallies = new LinkedHashMap<>();

    /** How often a token is where it counts. */
    private static final class Tally {
        private int inWindow;
        private int inAnswer;
    }

    /** Takes the adjustment of a token's logit. */
    @FunctionalInterface
    public interface Sink {
        void adjust(int token, float penalty, float add);
    }

    public Penalties(SamplingParameters parameters) {
        this.parameters = parameters;
        repeat = parameters.repeatPenalty() != 1 && parameters.repeatLastN() != 0;
        counting = parameters.presencePenalty() != 0 || parameters.frequencyPenalty() != 0;
        parameters.logitBias().keySet().forEach(token -> tallies.put(token, new Tally()));
    }

    /** The next token of the prompt. */
    public void prompt(int token) {
        if (repeat) {
            remember(token);
        }
    }

    /** The next token of the answer. */
    public void answer(int token) {
        prompt(token);
        if (counting) {
            tally(token).inAnswer++;
        }
    }

    private void remember(int token) {
        tally(token).inWindow++;
        window.add(token);
        if (parameters.repeatLastN() > 0 && window.size() > parameters.repeatLastN()) {
            int left = window.remove();
            tally(left).inWindow--;
            if (neutral(left, tally(left))) {
                tallies.remove(left);
            }
        }
    }

    private Tally tally(int token) {
        return tallies.computeIfAbsent(token, none -> new Tally());
    }

    private boolean neutral(int token, Tally tally) {
        return tally.inWindow == 0
                && tally.inAnswer == 0
                && !parameters.logitBias().containsKey(token);
    }

    /** How many logits are adjusted. */
    public int count() {
        return tallies.size();
    }

    /** Hands out the adjustments, each token once. */
    public void forEach(Sink sink) {
        tallies.forEach((token, tally) -> {
            double add = parameters.logitBias().getOrDefault(token, 0f)
                    - (tally.inAnswer > 0 ? parameters.presencePenalty() : 0)
                    - tally.inAnswer * parameters.frequencyPenalty();
            sink.adjust(token, tally.inWindow > 0 ? (float) parameters.repeatPenalty() : 1, (float) add);
        });
    }
}
