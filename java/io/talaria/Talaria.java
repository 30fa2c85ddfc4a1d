package io.talaria;

import io.talaria.backend.Device;
import io.talaria.backend.DeviceInfo;
import io.talaria.engine.ContextFullException;
import io.talaria.engine.Engine;
import io.talaria.engine.Request;
import io.talaria.engine.Usage;
import io.talaria.model.Model;
import io.talaria.placement.Deployment;
import io.talaria.sampling.SamplingParameters;
import io.talaria.sampling.StopMatcher;
import io.talaria.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;

/**
 * A model that is loaded and answers prompts, several at once.
 *
 * <pre>{@code
 * try (Talaria talaria = Talaria.open(Path.of("model.gguf"))) {
 *     talaria.generate("Why is the sky blue?", System.out::print);
 * }
 * }</pre>
 *
 * <p>All methods may be called from any thread. Prompts that are handed in while others are answered join them in the same
 * batches; and what a prompt shares with an earlier one, from its beginning on, is computed once. Close it after use: it
 * holds memory and threads that no garbage collector frees.
 */
public final class Talaria implements AutoCloseable {
    private static final String MESSAGE_END = "<|im_end|>";

    private final Model model;
    private final Deployment deployment;
    private final Engine engine;
    private final Tokenizer tokenizer;
    private final Set<Integer> stopTokens = new HashSet<>();
    private final int context;
    private volatile boolean closed;

    Talaria(Model model, Deployment deployment, Engine engine, Tokenizer tokenizer, int context) {
        this.model = model;
        this.deployment = deployment;
        this.engine = engine;
        this.tokenizer = tokenizer;
        this.context = context;
        tokenizer.special(MESSAGE_END).ifPresent(stopTokens::add);
        if (tokenizer.eos() >= 0) {
            stopTokens.add(tokenizer.eos());
        }
    }

    /**
     * Loads a model onto the best device here.
     *
     * @param model a GGUF file; of a model in shards, the first one
     * @throws IOException if the file cannot be read or is no Mixtral model; the message names it and says what is wrong
     * @throws io.talaria.backend.DeviceException if the device has no room for the model
     */
    public static Talaria open(Path model) throws IOException {
        return builder(model).open();
    }

    /** Loads a model in another way. The file is looked at when {@link TalariaBuilder#open} is called. */
    public static TalariaBuilder builder(Path model) {
        return new TalariaBuilder(() -> Model.open(model));
    }

    /** The same for a model file that is open already. It belongs to what is built, which can be opened once. */
    public static TalariaBuilder builder(Model model) {
        return new TalariaBuilder(() -> model);
    }

    /** Answers a question, with the default options. */
    public Answer generate(String question) {
        return generate(question, piece -> {});
    }

    /** Answers a question, with the default options, and hands over the text piece by piece. */
    public Answer generate(String question, Consumer<String> listener) {
        return generate(Prompt.user(question), GenerateOptions.DEFAULT, listener);
    }

    /**
     * Answers a prompt and hands over the text piece by piece. If the thread is interrupted meanwhile, the answer is
     * cancelled and comes as far as it is, and the thread stays interrupted.
     *
     * @param listener called on the caller's thread; what it throws cancels the answer and is passed on
     * @throws ContextFullException if the prompt leaves no room for an answer
     * @throws IllegalArgumentException if the prompt has no tokens, too many characters, or the vocabulary lacks a token
     *     that its template needs
     * @throws IllegalStateException if this is closed, before or meanwhile
     * @throws io.talaria.backend.DeviceException if the device fails
     * @throws ArithmeticException if the model's numbers break down, as a damaged file's do
     * @throws UncheckedIOException if experts are streamed from the file and cannot be read
     */
    public Answer generate(Prompt prompt, GenerateOptions options, Consumer<String> listener) {
        Generation generation = start(prompt, options);
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    generation.forEach(listener);
                    return generation.await();
                } catch (InterruptedException e) {
                    interrupted = true;
                    generation.cancel();
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /**
     * Begins to answer a prompt and returns at once.
     *
     * @throws RuntimeException as {@link #generate(Prompt, GenerateOptions, Consumer)} does
     */
    public Generation start(Prompt prompt, GenerateOptions options) {
        requireOpen();
        SamplingParameters sampling = options.sampling();
        Request request = new Request(prompt.encode(tokenizer), options.maxTokens(), stopTokens, sampling);
        Generation generation = new Generation();
        Generation.Writer writer = new Generation.Writer(
                generation, tokenizer.newDecoder(false, false), new StopMatcher(options.stops()), sampling.seed());
        generation.started(engine.submit(request, writer));
        return generation;
    }

    /** The token ids of a prompt. */
    public int[] encode(Prompt prompt) {
        return prompt.encode(tokenizer);
    }

    /** The model's tokenizer. */
    public Tokenizer tokenizer() {
        return tokenizer;
    }

    /** Positions of a text, prompt and answer, at most. */
    public int context() {
        return context;
    }

    /** The device that computes; of several, the first. */
    public DeviceInfo device() {
        return devices().getFirst();
    }

    /** All devices that compute. */
    public List<DeviceInfo> devices() {
        return deployment.devices().stream().map(Device::info).toList();
    }

    /** Who has what, where it was planned, and what was allocated. */
    public Deployment deployment() {
        return deployment;
    }

    /** What it is busy with. */
    public Usage usage() {
        return engine.usage();
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("this Talaria is closed; open the model again");
        }
    }

    /**
     * Ends answers that are being written, which fail with an {@link IllegalStateException}, and frees everything. Closing
     * twice does nothing.
     */
    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        engine.close();
        try (model;
                deployment) {
            // Both close.
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
