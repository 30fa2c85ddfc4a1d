package io.talaria.convert;

import java.io.IOException;

/** The rows of a tensor as numbers, wherever and in whatever type they lie. Several threads may read at once. */
interface RowSource {
    /** Rows of all its matrices together. */
    long rows();

    /** Elements of a row. */
    int columns();

    /**
     * Reads rows.
     *
     * @param row the first one
     * @param target receives {@code [count][columns]} values
     */
    void read(long row, int count, float[] target) throws IOException;
}
