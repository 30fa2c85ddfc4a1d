package io.talaria.engine;

import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.model.Decoder;

/** Runs a token list and hands out which experts each layer chose for its tokens. */
public final class PromptRouting {
    private PromptRouting() {}

    /** Takes the choice of one layer for some tokens. */
    @FunctionalInterface
    public interface Sink {
        /**
         * Called for each layer of each batch, in order.
         *
         * @param position of the first token
         * @param experts {@code [tokens][K]}, in order of their weights
         */
        void accept(int layer, int position, int[][] experts);
    }

    /**
     * Runs a list from position 0.
     *
     * @param decoder keeps the routing, and has rows for {@code chunk} tokens and blocks for all
     * @param chunk tokens per batch
     */
    public static void run(Decoder decoder, int[] tokens, int chunk, Sink sink) {
        int blocks = decoder.options().kvBlocks();
        Sequence sequence = new Sequence(new KvPool(blocks));
        Batch batch = new Batch(new BatchShape(chunk, chunk, 1, blocks, 0, 0, 0));
        for (int begin = 0; begin < tokens.length; begin += chunk) {
            int end = Math.min(begin + chunk, tokens.length);
            batch.clear();
            sequence.place(batch, 0, end - begin);
            for (int position = begin; position < end; position++) {
                sequence.add(batch, 0, tokens[position]);
            }
            decoder.run(batch);
            for (int layer = 0; layer < decoder.config().layers(); layer++) {
                sink.accept(layer, begin, decoder.experts(layer, end - begin));
            }
        }
    }
}
