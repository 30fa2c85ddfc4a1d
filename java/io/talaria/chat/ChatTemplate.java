package io.talaria.chat;

import io.talaria.tokenizer.Tokenizer;
import java.util.List;

/** How a model wants a conversation written. Implementations are stateless. */
public interface ChatTemplate {
    /**
     * The prompt for a conversation.
     *
     * @param messages in their order; may be empty
     * @param addGenerationPrompt whether to begin the assistant's next message, for the model to go on with
     * @param tokenizer of the model
     * @return token ids, with the one that begins a sequence in front if the vocabulary wants it
     * @throws IllegalArgumentException if the vocabulary lacks a token that the template needs, or a message is too
     *     long to be encoded
     */
    int[] encode(List<Message> messages, boolean addGenerationPrompt, Tokenizer tokenizer);

    /**
     * The token with which the model ends its message.
     *
     * @throws IllegalArgumentException if the vocabulary lacks it
     */
    int stopToken(Tokenizer tokenizer);
}
