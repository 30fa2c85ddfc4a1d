package io.talaria.backend;

/**
 * Where the sections of a {@link Batch} begin, in words, in the order that {@code args.h} gives. The header comes first: the
 * numbers of rows and of wanted rows, 1 if masks hold, and 0.
 *
 * @param end the number of all words
 */
public record BatchLayout(
        int token,
        int position,
        int table,
        int wantedRow,
        int target,
        int adjustBegin,
        int adjustToken,
        int adjustPenalty,
        int adjustAdd,
        int block,
        int mask,
        int end) {
    private static final int HEADER_WORDS = 4;

    /**
     * Of batches of a shape.
     *
     * @throws ArithmeticException if they have more words than an int counts
     */
    public static BatchLayout of(BatchShape shape) {
        int token = HEADER_WORDS;
        int position = token + shape.rows();
        int table = position + shape.rows();
        int wantedRow = table + shape.rows();
        int target = wantedRow + shape.wanted();
        int adjustBegin = target + shape.wanted() * shape.targets();
        int adjustToken = adjustBegin + shape.wanted() + 1;
        int adjustPenalty = adjustToken + shape.adjustments();
        int adjustAdd = adjustPenalty + shape.adjustments();
        int block = adjustAdd + shape.adjustments();
        int mask = Math.addExact(block, Math.multiplyExact(shape.tables(), shape.blocks()));
        int end = Math.addExact(mask, Math.multiplyExact(shape.wanted(), shape.maskWords()));
        return new BatchLayout(
                token,
                position,
                table,
                wantedRow,
                target,
                adjustBegin,
                adjustToken,
                adjustPenalty,
                adjustAdd,
                block,
                mask,
                end);
    }
}
