package io.talaria.engine;

import io.talaria.sampling.Candidates;
import io.talaria.sampling.Penalties;
import io.talaria.sampling.Sampler;
import java.util.Arrays;
import java.util.Optional;

/** A request in work, or waiting for its turn. */
final class Job {
    private final Request request;
    private final TokenListener listener;
    private final Sequence sequence;
    private final Sampler sampler;
    private final Penalties penalties;
    /** Prompt and answer, as long as both can be together. */
    private final int[] tokens;

    private int size;
    private boolean cacheCounted;
    private int cached;
    private long begun;
    private long first;
    private volatile boolean cancelled;

    Job(Request request, TokenListener listener, KvPool pool, int context) {
        this.request = request;
        this.listener = listener;
        sequence = new Sequence(pool);
        sampler = new Sampler(request.sampling());
        penalties = new Penalties(request.sampling());
        size = request.prompt().length;
        tokens = Arrays.copyOf(request.prompt(), (int) Math.min(context, (long) size + request.maxTokens()));
        for (int token : request.prompt()) {
            penalties.prompt(token);
        }
    }

    TokenListener listener() {
        return listener;
    }

    Sequence sequence() {
        return sequence;
    }

    Penalties penalties() {
        return penalties;
    }

    /** How many of the best tokens it chooses from. */
    int candidates() {
        return sampler.candidates();
    }

    void cancel() {
        cancelled = true;
    }

    boolean cancelled() {
        return cancelled;
    }

    /** Takes what the cache holds of its text, and blocks for the rest; false if there are too few. */
    boolean begin(KvPool pool) {
        int found = sequence.adopt(tokens, size - 1); // the last token's logits are needed
        if (!sequence.fits(size, pool.available())) {
            sequence.end();
            return false;
        }
        sequence.reserve(size);
        if (!cacheCounted) {
            cacheCounted = true;
            cached = found;
            begun = System.nanoTime();
        }
        return true;
    }

    /** Takes blocks for all tokens so far; false if there are too few. */
    boolean reserve() {
        return sequence.reserve(size);
    }

    /** Tokens that are not in the cache yet. */
    int pending() {
        return size - sequence.length();
    }

    /** The next token that is not in the cache yet. */
    int next() {
        return tokens[sequence.length()];
    }

    /** What was computed in the last step can be found by others. */
    void publish() {
        sequence.publish(tokens);
    }

    /** Chooses the next token. Returns why the answer ends with it, if it does. */
    Optional<FinishReason> accept(Candidates candidates) {
        int token = sampler.choose(candidates);
        if (completionTokens() == 0) {
            first = System.nanoTime();
        }
        tokens[size++] = token;
        penalties.answer(token);
        if (request.stopTokens().contains(token) || !listener.token(token)) {
            return Optional.of(FinishReason.STOP);
        }
        return size == tokens.length ? Optional.of(FinishReason.LENGTH) : Optional.empty();
    }

    private int completionTokens() {
        return size - request.prompt().length;
    }

    /** How it stands now. */
    Completion completion(FinishReason reason) {
        long now = System.nanoTime();
        long prefilled = completionTokens() > 0 ? first : now;
        return new Completion(
                reason,
                request.prompt().length,
                cached,
                completionTokens(),
                cacheCounted ? (prefilled - begun) / 1e9 : 0,
                (now - prefilled) / 1e9);
    }
}
