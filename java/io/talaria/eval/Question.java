package io.talaria.eval;

import io.talaria.chat.Message;
import java.util.List;
import java.util.Objects;

/**
 * A question with one right answer.
 *
 * @param task the kind of question, for a table
 * @param messages the conversation up to the question, which comes last
 * @param answer the right answer, to the letter
 */
public record Question(String task, List<Message> messages, String answer) {
    public Question {
        Objects.requireNonNull(task, "task");
        Objects.requireNonNull(answer, "answer");
        messages = List.copyOf(messages);
        if (messages.isEmpty()) {
            throw new IllegalArgumentException("a question has at least one message");
        }
    }
}
