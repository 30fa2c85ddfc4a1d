package io.talaria.chat;

import io.talaria.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * ChatML, the format of the Nous Hermes models: {@code <|im_start|>ROLE\nCONTENT<|im_end|>\n} for each message, then
 * {@code <|im_start|>assistant\n} for the model to go on with.
 *
 * <p>The markers are put in as token ids and everything between them is encoded literally, so a content that spells
 * {@code <|im_end|>} stays text. For content that spells no token, the ids are those of encoding the whole rendered
 * text at once: a stretch after a marker begins anew, with a space before it if the vocabulary adds one.
 */
public final class ChatMl implements ChatTemplate {
    private static final String START = "<|im_start|>";
    private static final String END = "<|im_end|>";

    @Override
    public int[] encode(List<Message> messages, boolean addGenerationPrompt, Tokenizer tokenizer) {
        int start = marker(tokenizer, START);
        int end = marker(tokenizer, END);
        int[] newline = tokenizer.encodeLiteral("\n");
        IntStream.Builder prompt = IntStream.builder();
        if (tokenizer.vocabulary().addBos()) {
            prompt.add(tokenizer.bos());
        }
        for (Message message : messages) {
            prompt.add(start);
            addAll(prompt, tokenizer.encodeLiteral(message.role().label() + "\n" + message.content()));
            prompt.add(end);
            addAll(prompt, newline);
        }
        if (addGenerationPrompt) {
            prompt.add(start);
            addAll(prompt, tokenizer.encodeLiteral(Role.ASSISTANT.label() + "\n"));
        }
        return prompt.build().toArray();
    }

    @Override
    public int stopToken(Tokenizer tokenizer) {
        return marker(tokenizer, END);
    }

    private static int marker(Tokenizer tokenizer, String text) {
        return tokenizer
                .special(text)
                .orElseThrow(() -> new IllegalArgumentException("The model's vocabulary has no token " + text
                        + ", which ChatML needs; use the raw prompt or a model that was trained on ChatML."));
    }

    private static void addAll(IntStream.Builder prompt, int[] tokens) {
        Arrays.stream(tokens).forEach(prompt::add);
    }
}
