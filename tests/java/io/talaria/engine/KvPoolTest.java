package io.talaria.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class KvPoolTest {
    private static int[] text(int seed, int length) {
        return new SplittableRandom(seed).ints(length, 0, 1000).toArray();
    }

    /** A sequence that holds this text in published blocks. */
    private static Sequence read(KvPool pool, int[] tokens) {
        Sequence sequence = new Sequence(pool);
        sequence.adopt(tokens, tokens.length);
        assertTrue(sequence.reserve(tokens.length));
        Batch batch = new Batch(new BatchShape(256, 0, 1, 8, 0, 0, 0));
        while (sequence.length() < tokens.length) {
            sequence.add(batch, 0, tokens[sequence.length()]);
        }
        sequence.publish(tokens);
        return sequence;
    }

    private static int cached(KvPool pool, int[] tokens) {
        Sequence sequence = new Sequence(pool);
        int length = sequence.adopt(tokens, tokens.length);
        sequence.end();
        return length;
    }

    @Test
    void blocksAreFoundBehindTheSameBlocksOnly() {
        KvPool pool = new KvPool(8);
        int[] tokens = text(1, 100);
        read(pool, tokens).end();
        assertEquals(3, pool.published());
        assertEquals(96, cached(pool, tokens));
        int[] otherStart = tokens.clone();
        otherStart[0]++;
        assertEquals(0, cached(pool, otherStart), "the second and third block are the same, behind another first");
        int[] otherMiddle = tokens.clone();
        otherMiddle[40]++;
        assertEquals(32, cached(pool, otherMiddle));
        int[] shifted = Arrays.copyOfRange(tokens, 32, 96);
        assertEquals(0, cached(pool, shifted));
    }

    @Test
    void theLeastRecentlyUsedGoesFirstAndTheEndBeforeTheBeginning() {
        KvPool pool = new KvPool(6);
        int[] old = text(1, 96);
        int[] recent = text(2, 64);
        read(pool, old).end();
        read(pool, recent).end();
        assertEquals(64, cached(pool, recent));
        assertEquals(96, cached(pool, old)); // now this is the recent one
        assertEquals(64, cached(pool, recent)); // and now this
        pool.take(); // the sixth block is free
        pool.take();
        assertEquals(64, cached(pool, old), "its end went");
        assertEquals(64, cached(pool, recent));
        pool.take();
        pool.take();
        assertEquals(0, cached(pool, old));
        assertEquals(64, cached(pool, recent));
        pool.take();
        assertEquals(32, cached(pool, recent));
        pool.take();
        assertEquals(OptionalInt.empty(), pool.take());
        assertEquals(0, pool.published());
    }

    @Test
    void whatIsInUseStays() {
        KvPool pool = new KvPool(4);
        int[] tokens = text(3, 64);
        Sequence first = read(pool, tokens);
        Sequence second = read(pool, tokens);
        assertEquals(2, pool.available(), "the two share their blocks");
        first.end();
        assertEquals(2, pool.available());
        pool.take();
        pool.take();
        assertEquals(OptionalInt.empty(), pool.take());
        assertEquals(64, cached(pool, tokens));
        second.end();
        assertEquals(2, pool.available());
    }

    /** Two that have computed the same side by side end up with one copy. */
    @Test
    void twinsBecomeOne() {
        KvPool pool = new KvPool(8);
        int[] tokens = text(4, 64);
        Sequence first = new Sequence(pool);
        Sequence second = new Sequence(pool);
        for (Sequence sequence : new Sequence[] {first, second}) {
            assertTrue(sequence.reserve(64));
            Batch batch = new Batch(new BatchShape(64, 0, 1, 2, 0, 0, 0));
            for (int token : tokens) {
                sequence.add(batch, 0, token);
            }
        }
        assertEquals(4, pool.available());
        first.publish(tokens);
        second.publish(tokens);
        assertEquals(6, pool.available());
        first.end();
        second.end();
        assertEquals(8, pool.available());
        assertEquals(2, pool.published());
    }

    @Test
    void withdrawnBlocksAreNotFoundAndNotLost() {
        KvPool pool = new KvPool(4);
        int[] tokens = text(5, 70);
        Sequence sequence = read(pool, tokens);
        sequence.withdraw();
        assertEquals(0, cached(pool, tokens));
        sequence.end();
        assertEquals(4, pool.available());
        assertEquals(0, pool.published());
    }

    /** Random texts with common beginnings, under pressure: what is found is what was published, and nothing leaks. */
    @Test
    void nothingLeaks() {
        SplittableRandom random = new SplittableRandom(6);
        KvPool pool = new KvPool(16);
        Deque<Sequence> held = new ArrayDeque<>();
        for (int i = 0; i < 2000; i++) {
            int[] tokens = text(random.nextInt(5), 32 * (1 + random.nextInt(4)) + random.nextInt(32));
            if (random.nextInt(4) == 0) {
                int from = random.nextInt(tokens.length);
                IntStream.range(from, tokens.length).forEach(at -> tokens[at] = random.nextInt(3));
            }
            while (!new Sequence(pool).fits(tokens.length, pool.available())) {
                held.poll().end();
            }
            held.add(read(pool, tokens));
            assertTrue(pool.published() <= 16);
        }
        held.forEach(Sequence::end);
        assertEquals(16, pool.available());
        assertFalse(pool.published() == 0);
    }
}
