package io.talaria.validate;

import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;

/** Batches for verbs that need no more of one than its rows. */
final class Batches {
    private Batches() {}

    /** Rows of one sequence, in a step with room for more. */
    static Batch rows(int rows) {
        Batch batch = new Batch(BatchShape.of(capacity(rows), 1, 1));
        for (int row = 0; row < rows; row++) {
            batch.addRow(0, row, 0);
        }
        return batch;
    }

    /** Steps are composed for more rows than the batch has, unless it has one. */
    static int capacity(int rows) {
        return rows == 1 ? 1 : rows + 3;
    }
}
