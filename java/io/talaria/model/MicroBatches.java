package io.talaria.model;

import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.model.Placement.LayerPlace;
import java.util.List;

/**
 * Two halves of a batch of many rows, of which one is computed while the other travels or is computed elsewhere. Each has
 * activations of its own. Rows of a sequence are in the order of their positions, so what attention looks at is in the same
 * half or in the first, which comes before on every device.
 */
final class MicroBatches {
    static final int COUNT = 2;

    /** Of a batch that is divided: enough for each half to keep a device busy. */
    static final int LEAST_ROWS = COUNT * Decoder.PIECE_ROWS;

    private MicroBatches() {}

    /**
     * Whether batches are divided if they have as many rows: where a layer is over several devices, and one is the home of all
     * layers. Not if experts are streamed, as each half would read them anew.
     */
    static boolean pay(Placement placement, DecoderOptions options) {
        boolean together = placement.layers().stream().anyMatch(layer -> !layer.isAt(placement.first()));
        boolean oneHome =
                placement.layers().stream().map(LayerPlace::home).distinct().count() == 1;
        return together && oneHome && options.maxRows() >= LEAST_ROWS && !options.streams(options.maxRows());
    }

    /** Rows of each workspace. The first has room for any batch that is not divided. */
    static List<Integer> workspaceRows(int maxRows) {
        int half = half(maxRows);
        return List.of(Math.max(half, Math.min(maxRows, LEAST_ROWS - 1)), half);
    }

    /** The shape of each half. */
    static BatchShape shape(BatchShape whole) {
        return whole.withRows(half(whole.rows()));
    }

    private static int half(int rows) {
        return Math.ceilDiv(rows, COUNT);
    }

    /** How many of a batch's rows are in the first. */
    static int inFirst(int rows, int count) {
        return count == 1 ? rows : half(rows);
    }

    /** A batch in one or two, of a shape that may have room for fewer rows, and for none that are wanted. */
    static List<Batch> of(Batch batch, int count, BatchShape shape) {
        if (count == 1) {
            return List.of(shape.equals(batch.shape()) ? batch : batch.part(0, batch.rows(), shape));
        }
        int half = inFirst(batch.rows(), count);
        return List.of(batch.part(0, half, shape), batch.part(half, batch.rows(), shape));
    }
}
