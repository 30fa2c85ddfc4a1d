package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.KvCache;
import io.talaria.backend.Shape;
import io.talaria.quant.TensorType;
import io.talaria.validate.Verbs.AttentionSources;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * Cases of {@code attentionInput}. Every row has a block of its own, at positions far apart; to read what is in the cache,
 * every row is a sequence that begins with this block.
 */
final class AttentionInputCases {
    private static final float EPSILON = 1e-5f;
    private static final float ROPE_BASE = 1e6f;
    private static final int BLOCK = 32;
    private static final int SEQUENCES = 3;
    private static final int LAYER = 1;

    private AttentionInputCases() {}

    /** Formats of the three projections, and what to call them. */
    private record Types(String name, TensorType query, TensorType key, TensorType value) {
        static Types of(TensorType type) {
            return new Types(type.name(), type, type, type);
        }

        List<String> list() {
            return List.of(query.name(), key.name(), value.name());
        }
    }

    private record Size(int rows, int hidden, int heads, int kvHeads, int headDim, int ropeDims) {
        int kvWidth() {
            return kvHeads * headDim;
        }
    }

    static void add(CaseList cases, List<Activations> modes) {
        List<Types> types = new ArrayList<>(Formats.ALL.stream().map(Types::of).toList());
        types.add(new Types("Q4_K Q8_0 Q6_K", TensorType.Q4_K, TensorType.Q8_0, TensorType.Q6_K));
        for (Types type : types) {
            for (Activations mode : modes) {
                for (TensorType kv : new TensorType[] {TensorType.F16, TensorType.Q8_0}) {
                    cases.add(seed -> make(seed, type, mode, kv, new Size(1, 256, 4, 1, 64, 64)));
                    cases.add(seed -> make(seed, type, mode, kv, new Size(3, 512, 2, 2, 128, 128)));
                    cases.add(seed -> make(seed, type, mode, kv, new Size(7, 256, 8, 2, 64, 32)));
                    cases.add(seed -> make(seed, type, mode, kv, new Size(33, 256, 4, 2, 64, 64)));
                }
            }
        }
    }

    private static OpCase<?> make(int seed, Types types, Activations mode, TensorType kvType, Size size) {
        int hidden = size.hidden();
        MadeWeight norm = MadeWeight.norm(hidden, seed);
        AttentionSources sources = new AttentionSources(
                norm,
                MadeWeight.random("query", types.query(), Shape.of(size.heads() * size.headDim(), hidden), seed + 1),
                MadeWeight.random("key", types.key(), Shape.of(size.kvWidth(), hidden), seed + 2),
                MadeWeight.random("value", types.value(), Shape.of(size.kvWidth(), hidden), seed + 3),
                size.ropeDims(),
                ROPE_BASE,
                EPSILON);
        float[] x = Inputs.settle(Inputs.random(size.rows(), hidden, seed + 4), norm.decoded(), EPSILON, mode);
        return OpCase.of(
                "attentionInput",
                types.name(),
                size.rows() + " rows of " + hidden + ", " + size.heads() + "/" + size.kvHeads() + " heads of "
                        + size.headDim() + ", RoPE " + size.ropeDims() + ", KV " + kvType,
                mode,
                verbs -> append(verbs, x, sources, kvType, size),
                (computed, expected) ->
                        computed.against(expected, sources.queryWidth(), sources, mode, kvType, types.list()));
    }

    private static Appended append(Verbs verbs, float[] x, AttentionSources sources, TensorType kvType, Size size)
            throws IOException {
        int rows = size.rows();
        KvCache kv = verbs.rig().cache(kvType, new Shape(LAYER + 1, rows + 1L, BLOCK, size.kvWidth()), size.headDim());
        float[] q = verbs.attentionInput(scattered(rows), x, sources, kv, LAYER);
        return Appended.read(verbs, q, ownBlocks(rows), kv, LAYER);
    }

    /** Row by row to three sequences, at positions from 0 to 32767, each in a block of its own. */
    private static Batch scattered(int rows) {
        int columns = position(rows, rows == 1 ? 0 : 2) / BLOCK + 1;
        Batch batch = new Batch(BatchShape.of(Batches.capacity(rows), SEQUENCES, columns));
        for (int sequence = 0; sequence < SEQUENCES; sequence++) {
            for (int column = 0; column < columns; column++) {
                batch.setBlock(sequence, column, 0); // not written, but it must be there
            }
        }
        for (int row = 0; row < rows; row++) {
            int position = position(rows, row);
            batch.setBlock(row % SEQUENCES, position / BLOCK, rows - row);
            batch.addRow(0, position, row % SEQUENCES);
        }
        return batch;
    }

    private static int position(int rows, int row) {
        if (rows == 1) {
            return 32767;
        }
        return switch (row) {
            case 1 -> 4095;
            case 2 -> 32767;
            default -> 97 * row;
        };
    }

    /** The same rows, each as the only one of a sequence that begins with the row's block. */
    private static Batch ownBlocks(int rows) {
        Batch batch = new Batch(BatchShape.of(Batches.capacity(rows), rows, 1));
        for (int row = 0; row < rows; row++) {
            batch.setBlock(row, 0, rows - row);
            batch.addRow(0, position(rows, row) % BLOCK, row);
        }
        return batch;
    }
}
