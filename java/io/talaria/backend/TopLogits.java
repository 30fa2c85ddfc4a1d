package io.talaria.backend;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Reads what {@link DecoderOps#topLogits} wrote: per wanted row the k best tokens after adjustments and mask, the
 * log-sum-exp of the plain logits, and the log-probabilities of the targets.
 */
public final class TopLogits {
    private final int k;
    private final int words;
    private final ByteBuffer rows;

    /**
     * @param k tokens per row
     * @param targets target tokens per row
     * @param rows the bytes of the {@code top} tensor's first rows
     */
    public TopLogits(int k, int targets, ByteBuffer rows) {
        this.k = k;
        this.words = words(k, targets);
        this.rows = rows.order(ByteOrder.LITTLE_ENDIAN);
    }

    /** 32-bit words per row of the {@code top} tensor. */
    public static int words(int k, int targets) {
        return 3 * k + 1 + targets;
    }

    /** The {@code rank}-th best token of a wanted row, or -1 if the mask allows fewer. */
    public int token(int wanted, int rank) {
        return rows.getInt((wanted * words + rank) * Integer.BYTES);
    }

    /** Its logit after adjustments. */
    public float adjustedLogit(int wanted, int rank) {
        return value(wanted, k + rank);
    }

    /** Its logit before adjustments. */
    public float logit(int wanted, int rank) {
        return value(wanted, 2 * k + rank);
    }

    /** The log-sum-exp of the row's plain logits; NaN if any of them is. */
    public float logSumExp(int wanted) {
        return value(wanted, 3 * k);
    }

    /** The log-probability of a target token; 0 where none was asked for. */
    public float targetLogProbability(int wanted, int slot) {
        return value(wanted, 3 * k + 1 + slot);
    }

    private float value(int wanted, int word) {
        return rows.getFloat((wanted * words + word) * Float.BYTES);
    }
}
