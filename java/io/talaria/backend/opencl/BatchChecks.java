package io.talaria.backend.opencl;

import io.talaria.backend.BatchLayout;
import io.talaria.backend.BatchShape;
import io.talaria.backend.DeviceException;
import java.util.Arrays;

/**
 * What the verbs of a step demand of its batches, and the check of every word of one: what passes leads no kernel out of
 * bounds. As {@code native/src/batch.cpp} does for native devices.
 */
final class BatchChecks {
    private final BatchShape shape;
    private final BatchLayout at;

    // Limits that verbs set; largest where none did.
    private long vocabulary = Integer.MAX_VALUE;
    private long outputVocabulary = Integer.MAX_VALUE;
    private long kvBlocks; // 0: no verb has a cache
    private long kvPositions;
    private boolean writesKv;

    BatchChecks(BatchShape shape) {
        this.shape = shape;
        this.at = BatchLayout.of(shape);
    }

    void limitTokens(long rows) {
        vocabulary = Math.min(vocabulary, rows);
    }

    void limitOutput(long rows) {
        outputVocabulary = Math.min(outputVocabulary, rows);
    }

    /** A cache of so many blocks of so many positions; false if an earlier verb has one of other blocks. */
    boolean useCache(long blocks, long positions, boolean writes) {
        if (kvBlocks != 0 && (kvBlocks != blocks || kvPositions != positions)) {
            return false;
        }
        kvBlocks = blocks;
        kvPositions = positions;
        writesKv |= writes;
        return true;
    }

    /**
     * Checks a batch.
     *
     * @throws DeviceException INVALID, with the first word that is wrong
     */
    void check(int[] words) {
        int rows = words[0];
        int wanted = words[1];
        require(rows >= 1 && rows <= shape.rows(), "word", 0, rows);
        require(wanted >= 0 && wanted <= shape.wanted() && wanted <= rows, "word", 1, wanted);
        require(words[2] == 0 || words[2] == 1 && shape.maskWords() > 0, "word", 2, words[2]);
        for (int row = 0; row < rows; row++) {
            int token = words[at.token() + row];
            int table = words[at.table() + row];
            require(token >= 0 && token < vocabulary, "token of row", row, token);
            require(words[at.position() + row] >= 0, "position of row", row, words[at.position() + row]);
            require(table >= 0 && table < shape.tables(), "block table of row", row, table);
            if (kvBlocks > 0) {
                checkBlocks(words, row);
            }
        }
        if (writesKv) {
            checkWrites(words, rows);
        }
        checkWanted(words, rows, wanted);
    }

    /** Every block that attention reads for a row: those of positions 0 to its own. */
    private void checkBlocks(int[] words, int row) {
        int position = words[at.position() + row];
        long last = position / kvPositions;
        require(last < shape.blocks(), "position past the block table in row", row, position);
        int first = at.block() + words[at.table() + row] * shape.blocks();
        for (int i = 0; i <= last; i++) {
            require(words[first + i] >= 0 && words[first + i] < kvBlocks, "KV block in column", i, words[first + i]);
        }
    }

    /** No two rows may write the same place of the cache: which of them came last would be chance. */
    private void checkWrites(int[] words, int rows) {
        long[] places = new long[rows];
        for (int row = 0; row < rows; row++) {
            int position = words[at.position() + row];
            int column = (int) (position / kvPositions);
            long block = words[at.block() + words[at.table() + row] * shape.blocks() + column];
            places[row] = block * kvPositions + position % kvPositions;
        }
        Arrays.sort(places);
        for (int i = 1; i < rows; i++) {
            if (places[i] == places[i - 1]) {
                throw DeviceException.invalid("batch: two rows write position " + places[i] % kvPositions
                        + " of KV block " + places[i] / kvPositions);
            }
        }
    }

    private void checkWanted(int[] words, int rows, int wanted) {
        for (int i = 0; i < wanted; i++) {
            int row = words[at.wantedRow() + i];
            boolean rises = i == 0 || row > words[at.wantedRow() + i - 1];
            require(row >= 0 && row < rows && rises, "wanted row", i, row);
            for (int j = 0; j < shape.targets(); j++) {
                int target = words[at.target() + i * shape.targets() + j];
                require(target >= -1 && target < outputVocabulary, "target of wanted row", i, target);
            }
        }
        require(words[at.adjustBegin()] == 0, "adjust_begin", 0, words[at.adjustBegin()]);
        for (int i = 0; i < wanted; i++) {
            int end = words[at.adjustBegin() + i + 1];
            boolean rises = end >= words[at.adjustBegin() + i];
            require(rises && end <= shape.adjustments(), "adjust_begin", i + 1, end);
        }
        for (int i = 0; i < words[at.adjustBegin() + wanted]; i++) {
            int token = words[at.adjustToken() + i];
            require(token >= 0 && token < outputVocabulary, "adjusted token", i, token);
        }
    }

    private static void require(boolean ok, String what, int index, long value) {
        if (!ok) {
            throw DeviceException.invalid("batch: " + what + " " + index + " is " + value);
        }
    }
}
