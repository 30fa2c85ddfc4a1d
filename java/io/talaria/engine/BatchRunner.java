package io.talaria.engine;

import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.TopLogits;
import io.talaria.engine.Scheduler.Share;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.sampling.Candidates;
import io.talaria.sampling.Sampler;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/**
 * Turns shares into batches and runs them. Capacities are rounded up, so that a few steps serve all batches. For the
 * engine's thread alone.
 */
final class BatchRunner {
    /** Tokens per wanted row, where no request looks at more. */
    private static final int FEW = 64;
    /** Adjustments of a batch: none, so many, or so many times a power of this. */
    private static final int ADJUSTMENTS = 64;

    private static final int ADJUSTMENTS_GROWTH = 16;

    private final Decoder decoder;
    private final EngineOptions options;
    private final Map<BatchShape, Batch> batches = new HashMap<>();

    private TopLogits top;
    private int k;

    BatchRunner(Decoder decoder, EngineOptions options) {
        this.decoder = decoder;
        this.options = options;
    }

    /** Runs one batch and waits for it. */
    void run(List<Share> shares) {
        int candidates = 0;
        int adjustments = 0;
        int rows = 0;
        int wanted = 0;
        for (Share share : shares) {
            rows += share.rows();
            if (share.wanted()) {
                wanted++;
                candidates = Math.max(candidates, share.job().candidates());
                adjustments += share.job().penalties().count();
            }
        }
        k = Math.min(
                candidates <= FEW ? FEW : Sampler.MAX_CANDIDATES,
                decoder.config().vocabulary());
        Batch batch = batches.computeIfAbsent(shape(rows, shares.size(), adjustments), Batch::new);
        fill(batch, shares);
        decoder.runInPieces(batch, k);
        if (wanted > 0) {
            top = decoder.top(wanted, k);
        } else {
            decoder.sync(); // a cancelled prompt is to end within a step, and its blocks be free
        }
    }

    /** Composes the steps that take most memory. */
    void prepare() {
        BatchShape largest = shape(decoder.options().maxRows(), options.parallel(), 0);
        decoder.prepare(
                largest, Math.min(Sampler.MAX_CANDIDATES, decoder.config().vocabulary()));
        decoder.prepare(largest, Math.min(FEW, decoder.config().vocabulary()));
    }

    private BatchShape shape(int rows, int sequences, int adjustments) {
        int capacity = 1;
        while (capacity < rows) {
            capacity *= 2;
        }
        capacity = Math.min(capacity, decoder.options().maxRows());
        int tables = sequences == 1 ? 1 : options.parallel();
        int adjusted = adjustments == 0 ? 0 : ADJUSTMENTS;
        while (adjusted < adjustments) {
            adjusted *= ADJUSTMENTS_GROWTH;
        }
        adjusted = Math.min(adjusted, Math.max(adjustments, BatchShape.MOST_ADJUSTMENTS));
        int blocks = DecoderOptions.blocksFor(options.context());
        return new BatchShape(capacity, Math.min(capacity, tables), tables, blocks, 0, adjusted, 0);
    }

    private static void fill(Batch batch, List<Share> shares) {
        batch.clear();
        for (int table = 0; table < shares.size(); table++) {
            Job job = shares.get(table).job();
            int rows = shares.get(table).rows();
            job.sequence().place(batch, table, rows);
            int row = -1;
            for (int i = 0; i < rows; i++) {
                row = job.sequence().add(batch, table, job.next());
            }
            if (shares.get(table).wanted()) {
                batch.addWanted(row);
                job.penalties().forEach(batch::adjust);
            }
        }
    }

    /**
     * The best tokens of a wanted row of the last batch, as many as the job looks at.
     *
     * @throws ArithmeticException if its logits are no numbers
     */
    Candidates candidates(int wanted, Job job) {
        float logSumExp = top.logSumExp(wanted);
        int count = 0;
        while (count < Math.min(k, job.candidates()) && top.token(wanted, count) >= 0) {
            count++;
        }
        if (!Float.isFinite(logSumExp) || count == 0) {
            throw new ArithmeticException("the model's numbers broke down (NaN logits); is the file damaged?");
        }
        int[] tokens = new int[count];
        float[] logits = new float[count];
        Arrays.setAll(tokens, rank -> top.token(wanted, rank));
        for (int rank = 0; rank < count; rank++) {
            logits[rank] = top.adjustedLogit(wanted, rank);
        }
        boolean plain = job.penalties().count() == 0;
        return new Candidates(tokens, logits, plain ? OptionalDouble.of(logSumExp) : OptionalDouble.empty());
    }
}
