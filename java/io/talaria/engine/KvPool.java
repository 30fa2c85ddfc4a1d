package io.talaria.engine;

import java.nio.IntBuffer;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SequencedSet;

/**
 * The blocks of a KV cache, and the prefix cache: whole blocks that are found again by the tokens they hold.
 *
 * <p>Blocks are counted references. A block that is published under its tokens keeps them when the last reference goes,
 * until it is needed for others, the least recently used one first. What a block holds depends on all tokens before its
 * own, so it is published behind a parent, the block before it, and found only behind that.
 */
final class KvPool {
    /** The parent of a text's first block. */
    static final long ROOT = 0;

    private final int[] references;
    /** Under what a block is published, or null. */
    private final Key[] keys;
    /** What children call a published block; never used twice. */
    private final long[] ids;

    private final Deque<Integer> free = new ArrayDeque<>();
    private final Map<Key, Integer> published = new HashMap<>();
    /** Published blocks without references, the least recently used first. */
    private final SequencedSet<Integer> idle = new LinkedHashSet<>();

    private long lastId = ROOT;

    private record Key(long parent, IntBuffer tokens) {}

    KvPool(int blocks) {
        references = new int[blocks];
        keys = new Key[blocks];
        ids = new long[blocks];
        for (int block = 0; block < blocks; block++) {
            free.add(block);
        }
    }

    /** A block of one's own, or nothing if all are taken. */
    OptionalInt take() {
        if (free.isEmpty() && !idle.isEmpty()) {
            forget(idle.getFirst());
        }
        if (free.isEmpty()) {
            return OptionalInt.empty();
        }
        int block = free.poll();
        references[block] = 1;
        return OptionalInt.of(block);
    }

    /** One more reference to a block. */
    void share(int block) {
        references[block]++;
        idle.remove(block);
    }

    /** One reference less. Of a text, the last block first: then no block is forgotten before those behind it. */
    void give(int block) {
        if (--references[block] > 0) {
            return;
        }
        if (keys[block] == null) {
            free.push(block);
        } else {
            idle.add(block);
        }
    }

    /** The published block that holds these tokens behind this parent. */
    OptionalInt find(long parent, int[] tokens, int from, int to) {
        Integer block = published.get(new Key(parent, IntBuffer.wrap(Arrays.copyOfRange(tokens, from, to))));
        return block == null ? OptionalInt.empty() : OptionalInt.of(block);
    }

    /**
     * Publishes a block that is full. If another one that holds the same is published already, the reference moves to
     * that one.
     *
     * @return the block that stands for these tokens now
     */
    int publish(int block, long parent, int[] tokens, int from, int to) {
        Key key = new Key(parent, IntBuffer.wrap(Arrays.copyOfRange(tokens, from, to)));
        Integer twin = published.putIfAbsent(key, block);
        if (twin != null) {
            share(twin);
            give(block);
            return twin;
        }
        keys[block] = key;
        ids[block] = ++lastId;
        return block;
    }

    /** What the children of a published block call it. */
    long id(int block) {
        return ids[block];
    }

    /** Withdraws a block, so that nobody finds it any more. */
    void forget(int block) {
        if (keys[block] != null) {
            published.remove(keys[block]);
            keys[block] = null;
            if (idle.remove(block)) {
                free.push(block);
            }
        }
    }

    int blocks() {
        return references.length;
    }

    /** Blocks that can be taken: those that hold nothing, and those that are only kept in case. */
    int available() {
        return free.size() + idle.size();
    }

    /** Blocks that can be found by their tokens. */
    int published() {
        return published.size();
    }
}
