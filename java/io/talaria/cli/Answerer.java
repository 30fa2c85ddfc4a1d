package io.talaria.cli;

import io.talaria.Answer;
import io.talaria.chat.Message;
import java.util.List;
import java.util.function.Consumer;

/** What a conversation talks to. */
interface Answerer {
    /**
     * Answers the last message; hands over each piece of text as it comes.
     *
     * @throws io.talaria.engine.ContextFullException if the conversation leaves no room in the context for an answer
     * @throws IllegalArgumentException if the conversation cannot be written as tokens
     */
    Answer answer(List<Message> messages, Consumer<String> pieces);

    /** Ends the answer that is being given, from any thread; nothing if there is none. */
    void cancel();
}
