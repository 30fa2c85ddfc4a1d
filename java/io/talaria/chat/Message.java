package io.talaria.chat;

import java.util.Objects;

/**
 * One message of a conversation.
 *
 * @param role who speaks
 * @param content the text, which is never read as structure of the prompt; may be empty
 */
public record Message(Role role, String content) {
    /**
     * @throws NullPointerException if either is null
     */
    public Message {
        Objects.requireNonNull(role, "role");
        Objects.requireNonNull(content, "content");
    }
}
