package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.Batch;
import io.talaria.backend.Shape;
import io.talaria.backend.Tensor;
import java.util.List;

/**
 * Cases of the verbs that move and add: {@code addSlots}, {@code copy}, {@code zero}. What {@code signal} and {@code await}
 * do is an order of queues and no number, and the reference has one queue: they have no case here.
 */
final class MoveCases {
    private MoveCases() {}

    static void add(CaseList cases, List<Activations> modes) {
        for (Activations mode : modes) {
            cases.add(seed -> addSlots(seed, mode, 1, 1, 2, 256));
            cases.add(seed -> addSlots(seed, mode, 3, 2, 2, 70));
            cases.add(seed -> addSlots(seed, mode, 7, 3, 1, 33));
            cases.add(seed -> addSlots(seed, mode, 33, 2, 8, 512));
            cases.add(seed -> copy(seed, mode, 1, 3));
            cases.add(seed -> copy(seed, mode, 7, 129));
            cases.add(seed -> zero(seed, mode));
        }
    }

    private static OpCase<?> addSlots(int seed, Activations mode, int rows, int sources, int used, int hidden) {
        int capacity = Batches.capacity(rows);
        float[] x = Inputs.random(rows, hidden, seed);
        float[] slots = Inputs.random(sources * capacity * used, hidden, seed + 1);
        return OpCase.of(
                "addSlots",
                "F32",
                rows + " rows of " + hidden + ", " + used + " slots of " + sources + " sources",
                mode,
                verbs -> verbs.addSlots(Batches.rows(rows), x, slots, sources, used),
                (computed, expected) ->
                        List.of(Compare.added("x", computed, expected, x, used, hidden, Bounds.FLOAT32)));
    }

    /** From the second row to the third, in tensors of a row length of their own. */
    private static OpCase<?> copy(int seed, Activations mode, int rows, int columns) {
        float[] from = Inputs.random(rows + 1, columns, rows);
        float[] to = Inputs.random(2, columns, rows + 1);
        long bytes = (long) columns * Float.BYTES;
        int capacity = Batches.capacity(rows);
        return OpCase.of(
                "copy",
                "F32",
                rows + " rows of " + columns,
                mode,
                verbs -> {
                    Rig rig = verbs.rig();
                    Tensor source = rig.floats("source", Shape.of(capacity + 1L, columns), from);
                    Tensor target = rig.floats("target", Shape.of(capacity + 3L, columns), to);
                    Batch batch = Batches.rows(rows);
                    rig.run(mode, batch, step -> step.copy(target, 2 * bytes, source, bytes, bytes));
                    return rig.floats(target, (rows + 2) * columns);
                },
                (computed, expected) -> List.of(Compare.rows("target", computed, expected, columns, 0)));
    }

    private static OpCase<?> zero(int seed, Activations mode) {
        return OpCase.of(
                "zero",
                "F32",
                "3 rows of 5",
                mode,
                verbs -> {
                    Rig rig = verbs.rig();
                    Tensor target = rig.floats("target", Shape.of(3, 5), Inputs.random(3, 5, 1));
                    rig.run(mode, Batches.rows(1), step -> step.zero(target));
                    return rig.floats(target, 15);
                },
                (computed, expected) -> List.of(Compare.rows("target", computed, expected, 5, 0)));
    }
}
