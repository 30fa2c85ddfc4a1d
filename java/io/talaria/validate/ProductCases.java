package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.Shape;
import io.talaria.quant.TensorType;
import io.talaria.validate.Verbs.Top;
import java.util.List;

/** Cases of the verbs around one product: {@code embed}, {@code attentionOutput}, {@code topLogits}. */
final class ProductCases {
    private static final float EPSILON = 1e-5f;

    private ProductCases() {}

    static void add(CaseList cases, List<Activations> modes) {
        for (TensorType type : Formats.ALL) {
            for (Activations mode : modes) {
                cases.add(seed -> embed(seed, type, mode, 1, 77));
                cases.add(seed -> embed(seed, type, mode, 33, 1001));
                cases.add(seed -> attentionOutput(seed, type, mode, 1, 33, 32));
                cases.add(seed -> attentionOutput(seed, type, mode, 2, 72, 500));
                cases.add(seed -> attentionOutput(seed, type, mode, 3, 256, 1280));
                cases.add(seed -> attentionOutput(seed, type, mode, 7, 1, 256));
                cases.add(seed -> attentionOutput(seed, type, mode, 33, 41, 256));
                cases.add(seed -> attentionOutput(seed, type, mode, 64, 16, 2048));
                cases.add(seed -> topLogits(seed, type, mode, new TopShape(1, 1, 77, 1, true)));
                cases.add(seed -> topLogits(seed, type, mode, new TopShape(7, 5, 77, 77, true)));
                cases.add(seed -> topLogits(seed, type, mode, new TopShape(12, 9, 515, 5, true)));
                cases.add(seed -> topLogits(seed, type, mode, new TopShape(33, 33, 1001, 40, false)));
            }
        }
    }

    private static OpCase<?> embed(int seed, TensorType type, Activations mode, int rows, int vocabulary) {
        int hidden = Formats.columns(type, 300);
        MadeWeight table = MadeWeight.random("table", type, Shape.of(vocabulary, hidden), seed);
        return OpCase.of(
                "embed",
                type.name(),
                rows + " rows of " + hidden,
                mode,
                verbs -> {
                    Batch batch = new Batch(BatchShape.of(Batches.capacity(rows), 1, 1));
                    for (int row = 0; row < rows; row++) {
                        batch.addRow((vocabulary - 1) * (row + 1) % vocabulary, row, 0);
                    }
                    return verbs.embed(batch, table);
                },
                (computed, expected) -> List.of(Compare.rows("x", computed, expected, hidden, Bounds.FLOAT32)));
    }

    private static OpCase<?> attentionOutput(
            int seed, TensorType type, Activations mode, int rows, int outputs, int about) {
        int columns = Formats.columns(type, about);
        MadeWeight weight = MadeWeight.random("output", type, Shape.of(outputs, columns), seed);
        float[] attended = Inputs.settle(Inputs.random(rows, columns, seed + 1), columns, mode);
        float[] x = Inputs.random(rows, outputs, seed + 2);
        return OpCase.of(
                "attentionOutput",
                type.name(),
                rows + " rows, " + columns + " to " + outputs,
                mode,
                verbs -> verbs.attentionOutput(Batches.rows(rows), x, attended, weight),
                (computed, expected) ->
                        List.of(Compare.added("x", computed, expected, x, 1, outputs, Bounds.product(type, mode))));
    }

    /** @param keepLogits whether the device is asked for all logits too */
    private record TopShape(int rows, int wanted, int vocabulary, int k, boolean keepLogits) {
        @Override
        public String toString() {
            return wanted + " of " + rows + " rows, best " + k + " of " + vocabulary
                    + (keepLogits ? "" : ", logits not kept");
        }
    }

    private static OpCase<?> topLogits(int seed, TensorType type, Activations mode, TopShape shape) {
        int hidden = Formats.columns(type, 256);
        MadeWeight norm = MadeWeight.norm(hidden, seed);
        // The last token ties with token 3, and token 40 with 8.
        MadeWeight output = MadeWeight.random("output", type, Shape.of(shape.vocabulary(), hidden), seed + 1)
                .withTie(3, shape.vocabulary() - 1)
                .withTie(8, 40);
        float[] x = Inputs.settle(Inputs.random(shape.rows(), hidden, seed + 2), norm.decoded(), EPSILON, mode);
        double bound = Bounds.product(type, mode);
        Batch batch = wanted(shape);
        return OpCase.of(
                "topLogits",
                type.name(),
                shape.toString(),
                mode,
                verbs -> verbs.topLogits(batch, x, norm, output, EPSILON, shape.k(), keep(verbs, shape)),
                (Top computed, Top expected) ->
                        new CompareTop(batch, shape.k(), shape.vocabulary(), bound).findings(computed, expected));
    }

    /** The reference keeps its logits in any case, to compare with. */
    private static boolean keep(Verbs verbs, TopShape shape) {
        return shape.keepLogits() || verbs.onReference();
    }

    /** Wanted rows spread over the batch, each with targets, adjustments or a mask of its own. */
    private static Batch wanted(TopShape shape) {
        int words = Math.ceilDiv(shape.vocabulary(), Integer.SIZE);
        Batch batch = new Batch(
                new BatchShape(Batches.capacity(shape.rows()), shape.wanted(), 1, 1, 2, 4 * shape.wanted(), words));
        for (int row = 0; row < shape.rows(); row++) {
            batch.addRow(0, row, 0);
        }
        int last = shape.vocabulary() - 1;
        for (int i = 0; i < shape.wanted(); i++) {
            batch.addWanted(shape.rows() - shape.wanted() + i);
            batch.setTarget(1, (i * 7 + 5) % shape.vocabulary());
            switch (i % 4) {
                case 0 -> { // the two that tie come first
                    batch.adjust(last, 1, 50);
                    batch.adjust(3, 1, 50);
                }
                case 1 -> { // penalties of positive and negative logits
                    batch.setTarget(0, last);
                    for (int token = 9; token < 13; token++) {
                        batch.adjust(token, 1.7f, token % 2 == 0 ? -0.5f : 0);
                    }
                }
                case 2 -> { // four tokens are allowed: both of a tie, the last, and one that is adjusted
                    int[] mask = new int[words];
                    for (int token : new int[] {8, 40, last, 17}) {
                        mask[token / Integer.SIZE] |= 1 << token % Integer.SIZE;
                    }
                    batch.setMask(mask);
                    batch.adjust(17, 0.5f, -3);
                }
                default -> batch.setTarget(0, 0);
            }
        }
        return batch;
    }
}
