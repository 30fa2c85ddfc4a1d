package io.talaria.engine;

import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.TopLogits;
import io.talaria.model.Decoder;
import java.util.function.IntPredicate;

/**
 * One text at a time, each next token the most likely one. Keeps the text in the KV cache from call to call, so that a
 * conversation is read once.
 */
public final class Greedy {
    private final Decoder decoder;
    private final int chunk;
    private final Sequence sequence;
    private volatile boolean cancelled;

    /** @param chunk prompt tokens per batch, at most the decoder's rows */
    public Greedy(Decoder decoder, int chunk) {
        this.decoder = decoder;
        this.chunk = chunk;
        this.sequence = new Sequence(new BlockPool(decoder.options().kvBlocks()));
    }

    /** Positions in the cache. */
    public int length() {
        return sequence.length();
    }

    /** Forgets the text, and that it was cancelled. */
    public void reset() {
        sequence.end();
        cancelled = false;
    }

    /** Ends what is being read or generated after the step that is under way; from any thread. */
    public void cancel() {
        cancelled = true;
    }

    /** True from {@link #cancel} to {@link #reset}. */
    public boolean cancelled() {
        return cancelled;
    }

    /**
     * Reads the tokens and returns the most likely next one; what it returns when cancelled means nothing.
     *
     * @throws ContextFullException if the KV cache has no room for them
     * @throws ArithmeticException if the model's numbers break down, as a damaged file's do
     */
    public int read(int[] tokens) {
        int next = -1;
        for (int begin = 0; begin < tokens.length && !cancelled; begin += chunk) {
            next = step(tokens, begin, Math.min(begin + chunk, tokens.length));
        }
        return next;
    }

    /**
     * Goes on from a token: hands it to {@code more}, and for as long as that wants more, reads it and takes the next.
     */
    public void generate(int first, IntPredicate more) {
        int token = first;
        while (!cancelled && more.test(token)) {
            token = step(new int[] {token}, 0, 1);
        }
    }

    private int step(int[] tokens, int from, int to) {
        int rows = to - from == 1 ? 1 : chunk;
        Batch batch = new Batch(new BatchShape(rows, 1, 1, decoder.options().kvBlocks(), 0, 0, 0));
        sequence.place(batch, 0, to - from);
        int row = -1;
        for (int i = from; i < to; i++) {
            row = sequence.add(batch, 0, tokens[i]);
        }
        batch.addWanted(row);
        decoder.run(batch);
        TopLogits top = decoder.top(1);
        if (Float.isNaN(top.logSumExp(0)) || top.token(0, 0) < 0) {
            throw new ArithmeticException("the model's numbers broke down (NaN logits); is the file damaged?");
        }
        return top.token(0, 0);
    }
}
