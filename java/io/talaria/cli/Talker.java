package io.talaria.cli;

import io.talaria.backend.Device;
import io.talaria.chat.ChatMl;
import io.talaria.chat.Message;
import io.talaria.engine.Greedy;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.Model;
import io.talaria.tokenizer.StreamingDecoder;
import io.talaria.tokenizer.Tokenizer;
import java.io.IOException;
import java.util.List;
import java.util.function.Consumer;

/** A model that is loaded and answers prompts, token by token. */
final class Talker implements Answerer, AutoCloseable {
    private static final int CHUNK = 128;
    private static final int DEFAULT_CONTEXT = 4096;

    private final Model model;
    private final Device device;
    private final Decoder decoder;
    private final Greedy greedy;
    private final Tokenizer tokenizer;

    /**
     * What came of a prompt.
     *
     * @param finishReason {@code stop} if the model ended its answer, {@code length} if it ran into a limit,
     *     {@code cancelled} if it was stopped
     */
    record Answer(
            String text,
            int promptTokens,
            int completionTokens,
            String finishReason,
            double prefillSeconds,
            double decodeSeconds) {}

    private Talker(Model model, Device device, Decoder decoder, Tokenizer tokenizer) {
        this.model = model;
        this.device = device;
        this.decoder = decoder;
        this.tokenizer = tokenizer;
        this.greedy = new Greedy(decoder, CHUNK);
    }

    /** Takes over the model, and closes it if loading fails. */
    static Talker load(Model model, DeviceOptions.Choice choice) throws IOException {
        Device device = null;
        try {
            Tokenizer tokenizer = model.tokenizer();
            device = choice.open();
            int context = Math.min(model.config().context(), DEFAULT_CONTEXT);
            DecoderOptions options =
                    DecoderOptions.of(choice.activations(), choice.kvType(), DecoderOptions.blocksFor(context), CHUNK);
            Decoder decoder = Decoder.load(model, device, options, new Progress("Loading")::at);
            return new Talker(model, device, decoder, tokenizer);
        } catch (IOException | RuntimeException e) {
            try (model;
                    Device opened = device) {
                throw e;
            }
        }
    }

    Tokenizer tokenizer() {
        return tokenizer;
    }

    /** Answers a prompt, from an empty cache; hands over each piece of text as it comes. */
    Answer answer(int[] prompt, int maxTokens, Consumer<String> pieces) {
        if (prompt.length == 0) {
            throw new BadArgumentException("the prompt has no tokens");
        }
        int room = decoder.options().kvBlocks() * DecoderOptions.POSITIONS_PER_BLOCK - prompt.length;
        if (room < 1) {
            throw new PromptTooLongException(prompt.length, room + prompt.length);
        }
        int stop = tokenizer.special("<|im_end|>").orElse(tokenizer.eos());
        StreamingDecoder streaming = tokenizer.newDecoder(false, false);
        StringBuilder text = new StringBuilder();
        Consumer<String> both = piece -> {
            text.append(piece);
            pieces.accept(piece);
        };
        int limit = Math.min(maxTokens, room);
        int[] completion = {0};
        boolean[] stopped = {false};
        greedy.reset();
        long begin = System.nanoTime();
        int first = greedy.read(prompt);
        long prefilled = System.nanoTime();
        greedy.generate(first, token -> {
            completion[0]++;
            stopped[0] = token == stop || token == tokenizer.eos();
            if (!stopped[0]) {
                both.accept(streaming.accept(token));
            }
            return !stopped[0] && completion[0] < limit;
        });
        both.accept(streaming.finish());
        long end = System.nanoTime();
        return new Answer(
                text.toString(),
                prompt.length,
                completion[0],
                greedy.cancelled() ? "cancelled" : stopped[0] ? "stop" : "length",
                (prefilled - begin) / 1e9,
                (end - prefilled) / 1e9);
    }

    @Override
    public Answer answer(List<Message> messages, int maxTokens, Consumer<String> pieces) {
        return answer(encode(messages), maxTokens, pieces);
    }

    @Override
    public void cancel() {
        greedy.cancel();
    }

    int[] encode(List<Message> messages) {
        try {
            return new ChatMl().encode(messages, true, tokenizer);
        } catch (IllegalArgumentException e) {
            throw new BadArgumentException(e.getMessage());
        }
    }

    @Override
    public void close() throws IOException {
        try (model;
                device;
                decoder) {
            greedy.reset();
        }
    }
}
