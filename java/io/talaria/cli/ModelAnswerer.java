package io.talaria.cli;

import io.talaria.Answer;
import io.talaria.GenerateOptions;
import io.talaria.Generation;
import io.talaria.Prompt;
import io.talaria.Talaria;
import io.talaria.chat.Message;
import java.util.List;
import java.util.function.Consumer;

/** A loaded model. What the conversation had before is in its prefix cache and is not computed again. */
final class ModelAnswerer implements Answerer {
    private final Talaria talaria;
    private final GenerateOptions options;
    private volatile Generation current;

    ModelAnswerer(Talaria talaria, GenerateOptions options) {
        this.talaria = talaria;
        this.options = options;
    }

    @Override
    public Answer answer(List<Message> messages, Consumer<String> pieces) {
        Generation generation = talaria.start(Prompt.chat(messages), options);
        current = generation;
        try {
            generation.forEach(pieces);
            return generation.await();
        } catch (InterruptedException e) {
            generation.cancel();
            Thread.currentThread().interrupt();
            throw new IllegalStateException("the answer was interrupted", e);
        } finally {
            current = null;
        }
    }

    @Override
    public void cancel() {
        Generation running = current;
        if (running != null) {
            running.cancel();
        }
    }
}
