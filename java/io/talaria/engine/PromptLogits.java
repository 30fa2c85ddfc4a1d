package io.talaria.engine;

import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.model.Decoder;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntPredicate;

/** Runs token lists side by side, chunk by chunk, and hands out the logits of the first one's positions. */
public final class PromptLogits {
    private PromptLogits() {}

    /** Takes the logits of a position. */
    @FunctionalInterface
    public interface Sink {
        /**
         * Called for each wanted position, in order.
         *
         * @param logits {@code [V]}, valid during the call
         * @throws IOException if the sink cannot take them
         */
        void accept(int position, FloatBuffer logits) throws IOException;
    }

    /**
     * Runs all lists from position 0 in the same batches.
     *
     * @param decoder keeps logits, and has rows for {@code chunk} tokens of every list and blocks for all of them
     * @param lists token ids; the first list's logits are handed out, the others keep it company
     * @param chunk tokens of each list per batch
     * @param wanted which positions of the first list
     * @throws IOException if the sink throws it
     */
    public static void run(Decoder decoder, List<int[]> lists, int chunk, IntPredicate wanted, Sink sink)
            throws IOException {
        KvPool pool = new KvPool(decoder.options().kvBlocks());
        List<Sequence> sequences = new ArrayList<>();
        lists.forEach(list -> sequences.add(new Sequence(pool)));
        Batch batch = new Batch(shape(decoder, lists, chunk));
        int longest = lists.stream().mapToInt(list -> list.length).max().orElse(0);
        for (int begin = 0; begin < longest; begin += chunk) {
            batch.clear();
            List<Integer> positions = new ArrayList<>();
            for (int table = 0; table < lists.size(); table++) {
                int[] tokens = lists.get(table);
                int end = Math.min(begin + chunk, tokens.length);
                if (begin >= end) {
                    continue;
                }
                sequences.get(table).place(batch, table, end - begin);
                for (int position = begin; position < end; position++) {
                    int row = sequences.get(table).add(batch, table, tokens[position]);
                    if (table == 0 && wanted.test(position)) {
                        batch.addWanted(row);
                        positions.add(position);
                    }
                }
            }
            decoder.runInPieces(batch, decoder.options().topK());
            hand(decoder, positions, sink);
        }
    }

    private static BatchShape shape(Decoder decoder, List<int[]> lists, int chunk) {
        return new BatchShape(
                chunk * lists.size(), chunk, lists.size(), decoder.options().kvBlocks(), 0, 0, 0);
    }

    /** Composes the step that {@link #run} will run. */
    public static void prepare(Decoder decoder, List<int[]> lists, int chunk) {
        decoder.prepare(shape(decoder, lists, chunk), decoder.options().topK());
    }

    private static void hand(Decoder decoder, List<Integer> positions, Sink sink) throws IOException {
        if (positions.isEmpty()) {
            return;
        }
        FloatBuffer logits = decoder.logits(positions.size());
        int vocabulary = decoder.config().vocabulary();
        for (int i = 0; i < positions.size(); i++) {
            sink.accept(positions.get(i), logits.slice(i * vocabulary, vocabulary));
        }
    }
}
