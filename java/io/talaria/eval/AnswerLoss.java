package io.talaria.eval;

import io.talaria.chat.ChatMl;
import io.talaria.chat.Message;
import io.talaria.chat.Role;
import io.talaria.engine.PromptLogits;
import io.talaria.model.Decoder;
import io.talaria.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * How likely a model finds the right answers: the mean negative logarithm of the probability of their tokens, each after
 * the question and the right tokens before it. The token that ends an answer counts.
 */
public final class AnswerLoss {
    private double sum;
    private long tokens;

    private AnswerLoss() {}

    /**
     * @param decoder keeps logits, and has rows and blocks for the longest question with its answer
     * @throws IllegalArgumentException if a question with its answer is longer than the decoder has rows for
     */
    public static AnswerLoss measure(
            Decoder decoder, Tokenizer tokenizer, List<Question> questions, Accuracy.Progress progress)
            throws IOException {
        AnswerLoss loss = new AnswerLoss();
        for (int i = 0; i < questions.size(); i++) {
            loss.add(decoder, tokenizer, questions.get(i));
            progress.at(i + 1, questions.size());
        }
        return loss;
    }

    /** e to the mean loss: among how many tokens the model hesitates, as it were. */
    public double perplexity() {
        return Math.exp(sum / tokens);
    }

    /** Tokens of all answers. */
    public long tokens() {
        return tokens;
    }

    /** Rows that {@link #measure} needs: tokens of the longest question with its answer. */
    public static int rows(Tokenizer tokenizer, List<Question> questions) {
        return questions.stream()
                .mapToInt(question -> whole(tokenizer, question).length)
                .max()
                .orElse(1);
    }

    private void add(Decoder decoder, Tokenizer tokenizer, Question question) throws IOException {
        int[] ids = whole(tokenizer, question);
        int begin = new ChatMl().encode(question.messages(), true, tokenizer).length;
        PromptLogits.run(
                decoder,
                List.of(ids),
                ids.length,
                position -> position >= begin - 1 && position < ids.length - 1,
                (position, logits) -> {
                    sum -= logProbability(logits, ids[position + 1]);
                    tokens++;
                });
    }

    /** The question and its answer, up to the token that ends it. */
    private static int[] whole(Tokenizer tokenizer, Question question) {
        ChatMl template = new ChatMl();
        List<Message> messages = new ArrayList<>(question.messages());
        messages.add(new Message(Role.ASSISTANT, question.answer()));
        int[] ids = template.encode(messages, false, tokenizer);
        int end = ids.length - 1;
        while (ids[end] != template.stopToken(tokenizer)) { // a line break follows it
            end--;
        }
        return Arrays.copyOf(ids, end + 1);
    }

    /** The logarithm of the softmax of {@code logits [V]} at a token. */
    private static double logProbability(FloatBuffer logits, int token) {
        double max = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < logits.remaining(); i++) {
            max = Math.max(max, logits.get(i));
        }
        double sum = 0;
        for (int i = 0; i < logits.remaining(); i++) {
            sum += Math.exp(logits.get(i) - max);
        }
        return logits.get(token) - max - Math.log(sum);
    }
}
