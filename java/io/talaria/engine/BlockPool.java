package io.talaria.engine;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.OptionalInt;

/** The free blocks of a KV cache. */
final class BlockPool {
    private final Deque<Integer> free = new ArrayDeque<>();

    BlockPool(int blocks) {
        for (int block = 0; block < blocks; block++) {
            free.add(block);
        }
    }

    /** A block, or nothing if all are taken. */
    OptionalInt take() {
        return free.isEmpty() ? OptionalInt.empty() : OptionalInt.of(free.poll());
    }

    /** Gives a block back. */
    void give(int block) {
        free.push(block);
    }
}
