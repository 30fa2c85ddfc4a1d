package io.talaria.cli;

import io.talaria.chat.Message;
import java.util.List;
import java.util.function.Consumer;

/** What a conversation talks to. */
interface Answerer {
    /**
     * Answers the last message; hands over each piece of text as it comes.
     *
     * @throws PromptTooLongException if the conversation does not fit into the context
     */
    Talker.Answer answer(List<Message> messages, int maxTokens, Consumer<String> pieces);

    /** Ends the answer that is being given, from any thread; nothing if there is none. */
    void cancel();
}
