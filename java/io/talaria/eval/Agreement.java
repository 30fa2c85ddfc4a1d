package io.talaria.eval;

import io.talaria.Answer;
import io.talaria.engine.PromptLogits;
import io.talaria.model.Decoder;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;

/**
 * Whether two devices give the same answers at temperature 0. They may part where the more exact one finds two tokens
 * nearly alike: where its two highest logits are closer than 4 times the root of the mean squared difference between the
 * two devices' logits of that position.
 *
 * @param same answers of the same tokens
 * @param nearTies answers that part at such a position
 * @param different answers that part elsewhere: a fault
 */
public record Agreement(int same, int nearTies, int different) {
    private static final double ROUNDING = 4;

    /**
     * @param prompts token ids of each question
     * @param device, reference keep logits, and have rows and blocks for the longest prompt with its answer
     * @param deviceAnswers, referenceAnswers what they wrote, in the order of the questions
     */
    public static Agreement of(
            List<int[]> prompts,
            Decoder device,
            List<Answer> deviceAnswers,
            Decoder reference,
            List<Answer> referenceAnswers)
            throws IOException {
        int same = 0;
        int nearTies = 0;
        int different = 0;
        for (int i = 0; i < prompts.size(); i++) {
            List<Integer> ours = deviceAnswers.get(i).tokens();
            List<Integer> theirs = referenceAnswers.get(i).tokens();
            if (ours.equals(theirs)
                    && deviceAnswers.get(i).finishReason()
                            == referenceAnswers.get(i).finishReason()) {
                same++;
                continue;
            }
            int[] common = withCommon(prompts.get(i), ours, theirs);
            if (nearTie(last(device, common), last(reference, common))) {
                nearTies++;
            } else {
                different++;
            }
        }
        return new Agreement(same, nearTies, different);
    }

    /** The prompt and what both wrote after it. */
    private static int[] withCommon(int[] prompt, List<Integer> a, List<Integer> b) {
        int shared = 0;
        while (shared < Math.min(a.size(), b.size()) && a.get(shared).equals(b.get(shared))) {
            shared++;
        }
        int[] tokens = Arrays.copyOf(prompt, prompt.length + shared);
        for (int i = 0; i < shared; i++) {
            tokens[prompt.length + i] = a.get(i);
        }
        return tokens;
    }

    /** The logits [V] after the last token. */
    private static float[] last(Decoder decoder, int[] tokens) throws IOException {
        float[] row = new float[decoder.config().vocabulary()];
        PromptLogits.run(
                decoder,
                List.of(tokens),
                tokens.length,
                position -> position == tokens.length - 1,
                (position, logits) -> logits.get(0, row));
        return row;
    }

    static boolean nearTie(float[] device, float[] reference) {
        double squares = 0;
        double first = Double.NEGATIVE_INFINITY;
        double second = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < reference.length; i++) {
            double error = (double) device[i] - reference[i];
            squares += error * error;
            if (reference[i] > first) {
                second = first;
                first = reference[i];
            } else {
                second = Math.max(second, reference[i]);
            }
        }
        return first - second <= ROUNDING * Math.sqrt(squares / reference.length);
    }
}
