package io.talaria.engine;

import io.talaria.backend.Batch;
import io.talaria.model.DecoderOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/** A text under way: how many of its positions are in the KV cache, and in which blocks. */
final class Sequence {
    private static final int BLOCK = DecoderOptions.POSITIONS_PER_BLOCK;

    private final KvPool pool;
    private final List<Integer> blocks = new ArrayList<>();
    private int length;
    /** Blocks, from the first on, that others may find. */
    private int published;

    Sequence(KvPool pool) {
        this.pool = pool;
    }

    /** Positions so far. */
    int length() {
        return length;
    }

    /** Begins with the blocks that hold the same beginning already, at most so many tokens. Returns the positions. */
    int adopt(int[] tokens, int limit) {
        while (length + BLOCK <= limit) {
            OptionalInt block = pool.find(parent(), tokens, length, length + BLOCK);
            if (block.isEmpty()) {
                break;
            }
            pool.share(block.getAsInt());
            blocks.add(block.getAsInt());
            published++;
            length += BLOCK;
        }
        return length;
    }

    private long parent() {
        return published == 0 ? KvPool.ROOT : pool.id(blocks.get(published - 1));
    }

    /** Whether so many free blocks are enough for so many positions altogether. */
    boolean fits(int positions, int freeBlocks) {
        return DecoderOptions.blocksFor(positions) - blocks.size() <= freeBlocks;
    }

    /** Takes blocks for so many positions altogether; false if the cache has too few. */
    boolean reserve(int positions) {
        while (blocks.size() < DecoderOptions.blocksFor(positions)) {
            OptionalInt block = pool.take();
            if (block.isEmpty()) {
                return false;
            }
            blocks.add(block.getAsInt());
        }
        return true;
    }

    /** Names this sequence's blocks in a batch; before its rows, and with room for {@code coming} more positions. */
    void place(Batch batch, int table, int coming) {
        if (!reserve(length + coming)) {
            throw new ContextFullException(length);
        }
        for (int column = 0; column < blocks.size(); column++) {
            batch.setBlock(table, column, blocks.get(column));
        }
    }

    /** Adds the next token as a row of the batch. Returns the row. */
    int add(Batch batch, int table, int token) {
        return batch.addRow(token, length++, table);
    }

    /** Lets others find the blocks that are full, once they have been computed. */
    void publish(int[] tokens) {
        while ((published + 1) * BLOCK <= length) {
            int from = published * BLOCK;
            blocks.set(published, pool.publish(blocks.get(published), parent(), tokens, from, from + BLOCK));
            published++;
        }
    }

    /** Withdraws what was published: it holds numbers that are none. */
    void withdraw() {
        blocks.subList(0, published).forEach(pool::forget);
        published = 0;
    }

    /** Gives all blocks back. */
    void end() {
        blocks.reversed().forEach(pool::give);
        blocks.clear();
        length = 0;
        published = 0;
    }
}
