package io.talaria;

import io.talaria.chat.ChatMl;
import io.talaria.chat.Message;
import io.talaria.chat.Role;
import io.talaria.tokenizer.Tokenizer;
import java.util.List;

/** What a model is to answer or go on with. */
public final class Prompt {
    private final Encoding encoding;

    private interface Encoding {
        int[] encode(Tokenizer tokenizer);
    }

    private Prompt(Encoding encoding) {
        this.encoding = encoding;
    }

    /** A question: one message of a user. */
    public static Prompt user(String question) {
        return chat(List.of(new Message(Role.USER, question)));
    }

    /**
     * A conversation, to be answered by the assistant; written as ChatML. What it shares with an earlier prompt and its
     * answer, from the beginning on, is still in the KV cache as a rule, so a conversation goes on by handing in all its
     * messages again.
     */
    public static Prompt chat(List<Message> messages) {
        List<Message> copy = List.copyOf(messages);
        return new Prompt(tokenizer -> new ChatMl().encode(copy, true, tokenizer));
    }

    /** A text to go on with, without a template; names of special tokens in it become these tokens. */
    public static Prompt raw(String text) {
        return new Prompt(tokenizer -> tokenizer.encode(text, true, true));
    }

    /** Token ids to go on with, just these. */
    public static Prompt tokens(int... tokens) {
        int[] copy = tokens.clone();
        return new Prompt(tokenizer -> copy.clone());
    }

    int[] encode(Tokenizer tokenizer) {
        return encoding.encode(tokenizer);
    }
}
