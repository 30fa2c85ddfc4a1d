package io.talaria.bench;

import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.ModelConfig;
import io.talaria.model.Verb;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.LongStream;

/** Measures how fast a loaded model reads prompts and writes text, on random tokens. */
public final class Bench {
    /** Below this share of the largest entropy, experts are used so unevenly that speeds mean nothing. */
    private static final double LEAST_EVENNESS = 0.9;
    /** Fewer would look uneven by chance. */
    private static final int LEAST_ROUTED = 64;

    private static final Set<Verb> CACHE_FILLERS = Set.of(Verb.EMBED, Verb.ATTENTION_INPUT);

    private final Decoder decoder;
    private final SplittableRandom random = new SplittableRandom(42);
    private final long[][] uses;
    private final boolean madeUp;
    private int routed;
    private int filled;

    /**
     * One measurement: tokens per second of each repetition.
     *
     * @param test {@code pp512} for reading 512 tokens, {@code tg128} for writing 128, {@code @ d4096} behind so many
     * @param rates tokens per second, one per repetition
     * @param bytesPerToken bytes that the device reads per token: weights and KV cache
     */
    public record Result(String test, List<Double> rates, double bytesPerToken) {
        public double median() {
            return median(rates);
        }

        static double median(List<Double> values) {
            List<Double> sorted = values.stream().sorted().toList();
            int middle = sorted.size() / 2;
            return sorted.size() % 2 == 1 ? sorted.get(middle) : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
        }

        /** Sample standard deviation; 0 for a single repetition. */
        public double deviation() {
            double mean =
                    rates.stream().mapToDouble(Double::doubleValue).average().orElseThrow();
            double squares = rates.stream()
                    .mapToDouble(rate -> (rate - mean) * (rate - mean))
                    .sum();
            return rates.size() < 2 ? 0 : Math.sqrt(squares / (rates.size() - 1));
        }

        /** Bytes that were read per second, in 10^9. */
        public double gigabytesPerSecond() {
            return median() * bytesPerToken / 1e9;
        }
    }

    /** The numbers broke down, or the experts are used unevenly: what was measured means nothing. */
    public static final class MeaninglessException extends RuntimeException {
        private static final long serialVersionUID = 1L;

        MeaninglessException(String message) {
            super(message);
        }
    }

    /**
     * A bench over a decoder.
     *
     * @param decoder keeps its routing, and has blocks for all tokens of the longest test
     * @param madeUp whether the model's weights mean nothing, and so what is in the cache neither: then the tokens that
     *     come before a test only go through {@code embed} and each layer's {@code attentionInput}, which fills the cache
     *     with keys and values of the right size, and not through attention and experts
     */
    public Bench(Decoder decoder, boolean madeUp) {
        this.decoder = decoder;
        this.madeUp = madeUp;
        this.uses = new long[decoder.config().layers()][decoder.config().experts()];
    }

    /**
     * Reads {@code tokens} random tokens behind {@code depth} others, in batches of the decoder's rows. The bytes are
     * those that must be read: for every batch all weights, and the KV cache up to its end, once. Large batches are
     * bound by arithmetic, so theirs is a small share of the bandwidth.
     *
     * @param weightBytes bytes of all weights
     */
    public Result prompt(int tokens, int depth, int repetitions, long weightBytes) {
        List<Double> rates = new ArrayList<>();
        for (int i = 0; i <= repetitions; i++) {
            fill(depth);
            long begin = System.nanoTime();
            read(depth, tokens);
            double seconds = (System.nanoTime() - begin) / 1e9;
            if (i > 0) { // the first run warms up
                rates.add(tokens / seconds);
            }
        }
        int rows = decoder.options().maxRows();
        double bytes = 0;
        for (int at = 0; at < tokens; at += rows) {
            bytes += weightBytes + kvBytes(depth + Math.min(at + rows, tokens));
        }
        return new Result("pp" + tokens + at(depth), rates, bytes / tokens);
    }

    /**
     * Writes {@code tokens} tokens behind {@code depth} others, one by one, each picked at random.
     *
     * @param bytesPerToken weight bytes that one token reads
     */
    public Result text(int tokens, int depth, int repetitions, long bytesPerToken) {
        List<Double> rates = new ArrayList<>();
        for (int i = 0; i <= repetitions; i++) {
            fill(Math.max(1, depth));
            long begin = System.nanoTime();
            for (int t = 0; t < tokens; t++) {
                step(Math.max(1, depth) + t, 1, 1);
            }
            double seconds = (System.nanoTime() - begin) / 1e9;
            count(1);
            if (i > 0) {
                rates.add(tokens / seconds);
            }
        }
        return new Result("tg" + tokens + at(depth), rates, bytesPerToken + kvBytes(depth + tokens / 2));
    }

    Decoder decoder() {
        return decoder;
    }

    private static String at(int depth) {
        return depth == 0 ? "" : " @ d" + depth;
    }

    double kvBytes(int positions) {
        ModelConfig config = decoder.config();
        long perPosition = 2 * decoder.options().kvType().bytes(config.kvWidth());
        return (double) positions * config.layers() * perPosition;
    }

    /** Puts so many tokens into the cache, once: tests write behind them. */
    void fill(int depth) {
        if (filled < depth) {
            int rows = decoder.options().maxRows();
            for (int at = filled; madeUp && at < depth; at += rows) {
                decoder.run(batch(at, Math.min(rows, depth - at), rows), CACHE_FILLERS);
                decoder.sync(); // or batches would pile up in the queue
            }
            if (!madeUp) {
                read(filled, depth - filled);
            }
            filled = depth;
        }
    }

    /** Reads random tokens at the positions from {@code begin} on; waits for the last. */
    private void read(int begin, int tokens) {
        int rows = decoder.options().maxRows();
        for (int at = 0; at < tokens; at += rows) {
            int count = Math.min(rows, tokens - at);
            count(step(begin + at, count, rows));
        }
    }

    /** @return of how many rows the choice of experts can be read */
    int step(int position, int rows, int capacity) {
        int last = decoder.runInPieces(
                batch(position, rows, capacity), decoder.options().topK());
        if (Float.isNaN(decoder.top(1).logSumExp(0))) {
            throw new MeaninglessException("the model's numbers broke down (NaN logits): nothing was measured");
        }
        return last;
    }

    private static BatchShape shape(int capacity, int blocks) {
        return new BatchShape(capacity, 1, 1, blocks, 0, 0, 0);
    }

    /** Composes the largest step of a bench. */
    public static void prepare(Decoder decoder) {
        DecoderOptions options = decoder.options();
        decoder.prepare(shape(options.maxRows(), options.kvBlocks()), options.topK());
    }

    /** Random tokens of one sequence, the last one wanted. */
    Batch batch(int position, int rows, int capacity) {
        int blocks = decoder.options().kvBlocks();
        Batch batch = new Batch(shape(capacity, blocks));
        for (int block = 0; block < DecoderOptions.blocksFor(position + rows); block++) {
            batch.setBlock(0, block, block);
        }
        int row = 0;
        for (int i = 0; i < rows; i++) {
            row = batch.addRow(random.nextInt(decoder.config().vocabulary()), position + i, 0);
        }
        batch.addWanted(row);
        return batch;
    }

    private void count(int rows) {
        for (int layer = 0; layer < uses.length; layer++) {
            for (int[] chosen : decoder.experts(layer, rows)) {
                for (int expert : chosen) {
                    uses[layer][expert]++;
                }
            }
        }
        routed += rows;
    }

    /**
     * The share of uses that each expert had so far, all layers together.
     *
     * @throws MeaninglessException if their entropy, on average over the layers, is below 0.9 of the largest possible
     */
    public double[] expertShares() {
        int positions = decoder.options().kvBlocks() * DecoderOptions.POSITIONS_PER_BLOCK;
        if (routed < LEAST_ROUTED) {
            read(0, Math.min(LEAST_ROUTED, positions));
        }
        int experts = decoder.config().experts();
        double[] shares = new double[experts];
        double entropy = 0;
        for (long[] used : uses) {
            double total = LongStream.of(used).sum();
            for (int i = 0; i < experts; i++) {
                double share = used[i] / total;
                shares[i] += share / uses.length;
                entropy -= share == 0 ? 0 : share * Math.log(share) / uses.length;
            }
        }
        if (entropy < LEAST_EVENNESS * Math.log(experts)) {
            throw new MeaninglessException("the experts are used unevenly (entropy " + "%.2f".formatted(entropy)
                    + " of " + "%.2f".formatted(Math.log(experts)) + "): speeds would mean nothing");
        }
        return shares;
    }
}
