package io.talaria;

import io.talaria.engine.Completion;
import io.talaria.engine.Engine;
import io.talaria.engine.FinishReason;
import io.talaria.engine.TokenListener;
import io.talaria.sampling.StopMatcher;
import io.talaria.tokenizer.StreamingDecoder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/**
 * An answer that is being written. Its pieces are taken with {@link #next}, by one thread, as fast or slowly as that
 * likes; the whole is had from {@link #await}. {@link #cancel} may be called from any thread, also between two pieces.
 *
 * <p>An answer that nobody takes is written all the same.
 */
public final class Generation {
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition news = lock.newCondition();
    private final Queue<String> pieces = new ArrayDeque<>();
    private Answer answer;
    private RuntimeException failure;

    private volatile Engine.Ticket ticket;

    Generation() {}

    void started(Engine.Ticket handedIn) {
        ticket = handedIn;
    }

    /**
     * The next piece of the text, as soon as it is there: whole characters, and nothing that belongs to a stop string.
     *
     * @return null at the end
     * @throws InterruptedException if the thread is interrupted while it waits; the answer goes on
     * @throws RuntimeException if the answer has failed, see {@link #await}; pieces that came before are handed out first
     */
    public String next() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (pieces.isEmpty() && !done()) {
                news.await();
            }
            if (pieces.isEmpty() && failure != null) {
                throw failure;
            }
            return pieces.poll();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Hands each piece of the text to the listener, on the caller's thread, up to the end. What the listener throws
     * cancels the answer and is passed on.
     *
     * @throws InterruptedException as {@link #next} does
     */
    public void forEach(Consumer<String> listener) throws InterruptedException {
        try {
            for (String piece = next(); piece != null; piece = next()) {
                listener.accept(piece);
            }
        } catch (RuntimeException | Error e) {
            cancel();
            throw e;
        }
    }

    /**
     * Waits for the end.
     *
     * @return the answer; one that was cancelled has the text up to there
     * @throws InterruptedException if the thread is interrupted while it waits; the answer goes on
     * @throws io.talaria.backend.DeviceException if the device failed
     * @throws ArithmeticException if the model's numbers broke down, as a damaged file's do
     * @throws java.io.UncheckedIOException if experts are streamed from the file and could not be read
     * @throws IllegalStateException if the model was closed meanwhile
     */
    public Answer await() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (!done()) {
                news.await();
            }
            if (failure != null) {
                throw failure;
            }
            return answer;
        } finally {
            lock.unlock();
        }
    }

    /** Whether the answer has ended, well or not: {@link #await} does not wait any more. */
    public boolean isDone() {
        lock.lock();
        try {
            return done();
        } finally {
            lock.unlock();
        }
    }

    private boolean done() {
        return answer != null || failure != null;
    }

    /** Ends the answer soon, as {@link FinishReason#CANCELLED}. Returns at once; does nothing after the end. */
    public void cancel() {
        ticket.cancel();
    }

    private void put(String piece) {
        if (!piece.isEmpty()) {
            lock.lock();
            pieces.add(piece);
            news.signalAll();
            lock.unlock();
        }
    }

    private void end(Answer complete, RuntimeException reason) {
        lock.lock();
        answer = complete;
        failure = reason;
        news.signalAll();
        lock.unlock();
    }

    /** The engine's side of a generation: tokens in, text out. */
    static final class Writer implements TokenListener {
        private final Generation generation;
        private final StreamingDecoder decoder;
        private final StopMatcher stops;
        private final long seed;
        private final StringBuilder text = new StringBuilder();
        private final List<Integer> tokens = new ArrayList<>();

        Writer(Generation generation, StreamingDecoder decoder, StopMatcher stops, long seed) {
            this.generation = generation;
            this.decoder = decoder;
            this.stops = stops;
            this.seed = seed;
        }

        @Override
        public boolean token(int token) {
            tokens.add(token);
            write(stops.accept(decoder.accept(token)));
            return stops.found() == null;
        }

        @Override
        public void finished(Completion completion) {
            write(stops.accept(decoder.finish()) + stops.finish());
            generation.end(
                    new Answer(
                            text.toString(),
                            tokens,
                            completion.reason(),
                            completion.promptTokens(),
                            completion.cachedTokens(),
                            completion.completionTokens(),
                            completion.prefillSeconds(),
                            completion.decodeSeconds(),
                            seed),
                    null);
        }

        @Override
        public void failed(RuntimeException reason) {
            generation.end(null, reason);
        }

        private void write(String piece) {
            text.append(piece);
            generation.put(piece);
        }
    }
}
