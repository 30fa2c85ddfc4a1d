package io.talaria.backend.opencl;

import io.talaria.backend.opencl.LaunchArgs.PairTiles;
import io.talaria.backend.opencl.LaunchArgs.PreparedRows;
import java.util.ArrayList;
import java.util.List;

/** The arguments of a kernel, group by group as the macros of the kernels' headers name them. */
final class LaunchArgs {
    private final List<Object> values = new ArrayList<>();

    /** Each a {@link Memory.Buffer}, a {@link Region}, an Integer, a Long or a Float. */
    LaunchArgs add(Object... more) {
        values.addAll(List.of(more));
        return this;
    }

    /** {@code BATCH_ARGS}: the batch's rows. */
    LaunchArgs rows(Memory.Buffer batch) {
        return add(batch, 0, 0);
    }

    /** {@code BATCH_ARGS}: the wanted rows from {@code first} on. */
    LaunchArgs wanted(Memory.Buffer batch, int first) {
        return add(batch, 1, first);
    }

    /** {@code WEIGHT_ARGS} */
    LaunchArgs weight(DeviceTensor weight, DeviceTensor.Part part) {
        WeightLayout at = part.layout();
        return add(part.buffer(), at.bytes(), at.second(), at.third(), at.fourth(), at.rowBytes())
                .add((int) weight.shape().columns(), part.firstRow(), part.rows(), part.firstPlane(), part.planes());
    }

    /** {@code ROWS_IN_ARGS} */
    LaunchArgs in(PreparedRows rows) {
        return add(rows.values(), rows.codes(), rows.scales(), rows.stride());
    }

    /** {@code ROWS_OUT_ARGS} */
    LaunchArgs out(PreparedRows rows) {
        return in(rows).add(rows.forms());
    }

    /** {@code TILES_ARGS} */
    LaunchArgs tiles(PairTiles tiles) {
        boolean listed = tiles.listed();
        return add(listed ? Region.TILES : Region.NOTHING, listed ? Region.TILE_COUNT : Region.NOTHING)
                .add(listed ? Region.PAIRS : Region.NOTHING, tiles.routing(), tiles.map())
                .add(tiles.experts(), tiles.used(), tiles.held(), listed ? 1 : 0, tiles.mapped() ? 1 : 0);
    }

    Object[] array() {
        return values.toArray();
    }

    /**
     * Rows of activations in scratch memory, in the forms that products read.
     *
     * @param stride values from row to row
     * @param forms AS_VALUES, AS_CODES of {@code rows.clh}
     */
    record PreparedRows(Region values, Region codes, Region scales, long stride, int forms) {
        static final int AS_VALUES = 1;
        static final int AS_CODES = 2;

        boolean has(boolean needsValues, boolean needsCodes) {
            int needed = (needsValues ? AS_VALUES : 0) | (needsCodes ? AS_CODES : 0);
            return (forms & needed) == needed;
        }
    }

    /**
     * The pairs of a batch.
     *
     * @param map a buffer, or {@link Region#NOTHING}
     * @param most tiles that there may be; without a list, pairs
     * @param experts length of the map
     */
    record PairTiles(
            Object routing, Object map, boolean mapped, int experts, int used, int held, boolean listed, int most) {
        /** Where no pairs are concerned. */
        static final PairTiles NONE = new PairTiles(Region.NOTHING, Region.NOTHING, false, 0, 1, 0, false, 0);
    }
}
