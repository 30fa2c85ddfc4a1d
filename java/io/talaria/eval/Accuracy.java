package io.talaria.eval;

import io.talaria.Answer;
import io.talaria.GenerateOptions;
import io.talaria.Generation;
import io.talaria.Prompt;
import io.talaria.Talaria;
import io.talaria.engine.FinishReason;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Which questions a model answers right, at temperature 0, to the letter. */
public final class Accuracy {
    private final List<Question> questions;
    private final List<Answer> answers;

    /** How many questions of a task, or of all, were answered right. */
    public record Score(int right, int total) {
        /** The share that is right, from 0 to 1. */
        public double share() {
            return (double) right / total;
        }

        private Score plus(Score other) {
            return new Score(right + other.right, total + other.total);
        }
    }

    /** Hears how many questions are answered. */
    @FunctionalInterface
    public interface Progress {
        void at(int done, int total);
    }

    private Accuracy(List<Question> questions, List<Answer> answers) {
        this.questions = questions;
        this.answers = answers;
    }

    /**
     * Asks all questions, as many at once as the model was opened for.
     *
     * @throws io.talaria.engine.ContextFullException if a question leaves no room for an answer
     * @throws InterruptedException if the thread is interrupted while it waits
     * @throws RuntimeException as {@link Generation#await} does
     */
    public static Accuracy measure(Talaria talaria, List<Question> questions, Progress progress)
            throws InterruptedException {
        List<Generation> started = new ArrayList<>();
        for (Question question : questions) {
            // An answer that goes on for twice the length of the right one is wrong, whatever comes.
            GenerateOptions options = GenerateOptions.builder()
                    .temperature(0)
                    .maxTokens(2 * talaria.tokenizer().encodeLiteral(question.answer()).length + 8)
                    .build();
            started.add(talaria.start(Prompt.chat(question.messages()), options));
        }
        List<Answer> answers = new ArrayList<>();
        for (Generation generation : started) {
            answers.add(generation.await());
            progress.at(answers.size(), started.size());
        }
        return new Accuracy(questions, answers);
    }

    /** The model's answers, in the order of the questions. */
    public List<Answer> answers() {
        return List.copyOf(answers);
    }

    /** Whether an answer is right: the same text, and the model ended it there. */
    public boolean right(int question) {
        Answer answer = answers.get(question);
        return answer.finishReason() == FinishReason.STOP
                && answer.text().equals(questions.get(question).answer());
    }

    /** The score of each task, in the order in which the questions have them. */
    public Map<String, Score> tasks() {
        Map<String, Score> tasks = new LinkedHashMap<>();
        for (int i = 0; i < questions.size(); i++) {
            tasks.merge(questions.get(i).task(), new Score(right(i) ? 1 : 0, 1), Score::plus);
        }
        return tasks;
    }

    /** The score over all questions. */
    public Score all() {
        return tasks().values().stream().collect(Collectors.reducing(new Score(0, 0), Score::plus));
    }
}
