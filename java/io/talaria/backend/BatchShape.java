package io.talaria.backend;

/**
 * The capacities of a step: what its kernels are launched for. A {@link Batch} fills them partly or wholly.
 *
 * @param rows token rows
 * @param wanted rows whose logits are wanted
 * @param tables sequences, each with a row of the block table
 * @param blocks KV blocks that a sequence may have
 * @param targets target tokens per wanted row whose log-probability is returned
 * @param adjustments logit adjustments of the whole batch together
 * @param maskWords 32-bit words of the token mask per wanted row; 0 for no masks
 */
public record BatchShape(int rows, int wanted, int tables, int blocks, int targets, int adjustments, int maskWords) {
    /** Adjustments of a batch at most. */
    public static final int MOST_ADJUSTMENTS = 1 << 20;

    public BatchShape {
        check("rows", rows, 1, 1 << 16);
        check("wanted", wanted, 0, rows);
        check("tables", tables, 1, 1 << 12);
        check("blocks", blocks, 1, 1 << 16);
        check("targets", targets, 0, 64);
        check("adjustments", adjustments, 0, MOST_ADJUSTMENTS);
        check("maskWords", maskWords, 0, 1 << 13);
    }

    private static void check(String name, int value, int low, int high) {
        if (value < low || value > high) {
            throw DeviceException.invalid("batch shape: " + name + " is " + value + ", must be " + low + " to " + high);
        }
    }

    /** Rows, all of them wanted, without targets, adjustments or masks. */
    public static BatchShape of(int rows, int tables, int blocks) {
        return new BatchShape(rows, rows, tables, blocks, 0, 0, 0);
    }

    /** The same with room for fewer rows. */
    public BatchShape withRows(int fewer) {
        return new BatchShape(fewer, Math.min(wanted, fewer), tables, blocks, targets, adjustments, maskWords);
    }

    /** The same for batches of which no row is wanted. */
    public BatchShape withoutWanted() {
        return new BatchShape(rows, 0, tables, blocks, 0, 0, 0);
    }
}
