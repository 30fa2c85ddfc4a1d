package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.KvCache;
import io.talaria.backend.Shape;
import io.talaria.quant.TensorType;
import io.talaria.validate.Verbs.AttentionSources;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Cases of {@code attention}. A cache can only be filled by {@code attentionInput}, so it is filled with what no device
 * computes differently: rows of 1 and -1, whose norm is 1, times weights that are small multiples of 1/8.
 */
final class AttentionCases {
    private static final int HIDDEN = 32;
    private static final int BLOCK = 32;
    private static final float TINY_EPSILON = 1e-12f;

    private AttentionCases() {}

    private record Heads(int heads, int kvHeads, int dim) {
        int width() {
            return heads * dim;
        }

        int kvWidth() {
            return kvHeads * dim;
        }
    }

    static void add(CaseList cases, List<Activations> modes) {
        for (Heads heads : List.of(new Heads(4, 4, 64), new Heads(8, 2, 64), new Heads(4, 1, 128))) {
            for (Activations mode : modes) {
                for (TensorType kv : new TensorType[] {TensorType.F16, TensorType.Q8_0}) {
                    cases.add(seed -> make(seed, heads, mode, kv, 1));
                    cases.add(seed -> make(seed, heads, mode, kv, 2, 64, 97));
                    cases.add(seed -> make(seed, heads, mode, kv, 33, 70, 5, 32, 1));
                    cases.add(seed -> make(seed, heads, mode, kv, 1000));
                }
            }
        }
    }

    private static OpCase<?> make(int seed, Heads heads, Activations mode, TensorType kvType, int... lengths) {
        return OpCase.of(
                "attention",
                "KV " + kvType,
                heads.heads() + "/" + heads.kvHeads() + " heads of " + heads.dim() + ", lengths "
                        + Arrays.toString(lengths),
                mode,
                verbs -> attend(verbs, heads, kvType, lengths, seed),
                (computed, expected) ->
                        List.of(Compare.rows("attended", computed, expected, heads.width(), Bounds.ATTENTION)));
    }

    private static float[] attend(Verbs verbs, Heads heads, TensorType kvType, int[] lengths, int seed)
            throws IOException {
        int[][] blocks = shuffledBlocks(lengths, seed);
        int total = Arrays.stream(blocks).mapToInt(own -> own.length).sum();
        KvCache kv = verbs.rig().cache(kvType, new Shape(1, total, BLOCK, heads.kvWidth()), heads.dim());
        fill(verbs, heads, kv, lengths, blocks, seed);
        // The first position, the middle and the last: those in front of others must not see them.
        Batch batch = batch(lengths.length * 3, blocks);
        for (int sequence = 0; sequence < lengths.length; sequence++) {
            batch.addRow(0, 0, sequence);
            batch.addRow(0, lengths[sequence] / 2, sequence);
            batch.addRow(0, lengths[sequence] - 1, sequence);
        }
        float[] q = Inputs.random(batch.rows(), heads.width(), seed + 1);
        return verbs.attention(batch, q, heads.width(), kv, 0);
    }

    private static void fill(Verbs verbs, Heads heads, KvCache kv, int[] lengths, int[][] blocks, int seed)
            throws IOException {
        int rows = Arrays.stream(lengths).sum();
        Batch batch = batch(rows, blocks);
        for (int sequence = 0; sequence < lengths.length; sequence++) {
            for (int position = 0; position < lengths[sequence]; position++) {
                batch.addRow(0, position, sequence);
            }
        }
        float[] ones = new float[HIDDEN];
        Arrays.fill(ones, 1);
        float[] x = multiples(rows * HIDDEN, 1, 1, seed + 2);
        AttentionSources sources = new AttentionSources(
                MadeWeight.of("norm", Shape.of(HIDDEN), ones),
                eighths("query", heads.width(), seed + 3),
                eighths("key", heads.kvWidth(), seed + 4),
                eighths("value", heads.kvWidth(), seed + 5),
                heads.dim(),
                1e6f,
                TINY_EPSILON);
        verbs.attentionInput(batch, x, sources, kv, 0);
    }

    private static MadeWeight eighths(String name, int rows, int seed) {
        return MadeWeight.of(name, Shape.of(rows, HIDDEN), multiples(rows * HIDDEN, 4, 0.125f, seed));
    }

    /** Multiples of a unit, from -most to most, without 0. */
    private static float[] multiples(int count, int most, float unit, int seed) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (random.nextBoolean() ? unit : -unit) * random.nextInt(1, most + 1);
        }
        return values;
    }

    private static Batch batch(int rows, int[][] blocks) {
        int columns = Arrays.stream(blocks).mapToInt(own -> own.length).max().orElseThrow();
        Batch batch = new Batch(BatchShape.of(Batches.capacity(rows), blocks.length, columns));
        for (int sequence = 0; sequence < blocks.length; sequence++) {
            for (int column = 0; column < blocks[sequence].length; column++) {
                batch.setBlock(sequence, column, blocks[sequence][column]);
            }
        }
        return batch;
    }

    /** The blocks of each sequence, out of order and mixed with those of others. */
    private static int[][] shuffledBlocks(int[] lengths, int seed) {
        int[] counts = Arrays.stream(lengths)
                .map(length -> Math.ceilDiv(length, BLOCK))
                .toArray();
        int[] ids = new int[Arrays.stream(counts).sum()];
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < ids.length; i++) {
            int j = random.nextInt(i + 1);
            ids[i] = ids[j];
            ids[j] = i;
        }
        int[][] blocks = new int[lengths.length][];
        int next = 0;
        for (int sequence = 0; sequence < lengths.length; sequence++) {
            blocks[sequence] = Arrays.copyOfRange(ids, next, next += counts[sequence]);
        }
        return blocks;
    }
}
