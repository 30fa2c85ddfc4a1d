package io.talaria.engine;

import io.talaria.backend.Batch;
import io.talaria.model.DecoderOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/** A text under way: how many of its positions are in the KV cache, and in which blocks. */
final class Sequence {
    private final BlockPool pool;
    private final List<Integer> blocks = new ArrayList<>();
    private int length;

    Sequence(BlockPool pool) {
        this.pool = pool;
    }

    /** Positions so far. */
    int length() {
        return length;
    }

    /** Names this sequence's blocks in a batch; before its rows, and with room for {@code coming} more positions. */
    void place(Batch batch, int table, int coming) {
        while (blocks.size() < DecoderOptions.blocksFor(length + coming)) {
            OptionalInt block = pool.take();
            if (block.isEmpty()) {
                throw new ContextFullException(length);
            }
            blocks.add(block.getAsInt());
        }
        for (int column = 0; column < blocks.size(); column++) {
            batch.setBlock(table, column, blocks.get(column));
        }
    }

    /** Adds the next token as a row of the batch. Returns the row. */
    int add(Batch batch, int table, int token) {
        return batch.addRow(token, length++, table);
    }

    /** Gives all blocks back. */
    void end() {
        blocks.forEach(pool::give);
        blocks.clear();
        length = 0;
    }
}
