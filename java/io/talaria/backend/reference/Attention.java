package io.talaria.backend.reference;

import io.talaria.backend.AttentionWeights;
import io.talaria.backend.Batch;
import io.talaria.backend.KvCache;
import java.util.stream.IntStream;

/** RoPE, the KV cache, and causal grouped-query attention. */
final class Attention {
    private Attention() {}

    /**
     * Turns the pairs (2i, 2i + 1) of each head by position · base^(-2i / ropeDims).
     *
     * @param rows {@code [batch rows][heads * headDim]}, in place
     */
    static void rope(double[] rows, int width, int headDim, AttentionWeights weights, Batch batch) {
        for (int row = 0; row < batch.rows(); row++) {
            for (int i = 0; i < weights.ropeDims(); i += 2) {
                double angle = batch.position(row) * Math.pow(weights.ropeBase(), -(double) i / weights.ropeDims());
                double cos = Math.cos(angle);
                double sin = Math.sin(angle);
                for (int head = 0; head < width; head += headDim) {
                    int at = row * width + head + i;
                    double x0 = rows[at];
                    double x1 = rows[at + 1];
                    rows[at] = x0 * cos - x1 * sin;
                    rows[at + 1] = x0 * sin + x1 * cos;
                }
            }
        }
    }

    /** Stores each row of {@code [batch rows][G * D]} at its position. */
    static void append(ReferenceTensor.Kv cache, double[] rows, int layer, Batch batch) {
        int width = cache.width();
        for (int row = 0; row < batch.rows(); row++) {
            int position = batch.position(row);
            double[] block = block(cache, layer, batch, batch.sequence(row), position);
            Rounding.store(cache.type(), rows, row * width, width, block, cache.rowAt(position));
        }
    }

    private static double[] block(ReferenceTensor.Kv cache, int layer, Batch batch, int sequence, int position) {
        return cache.block(
                layer,
                batch.kvBlock(sequence, position, Math.toIntExact(cache.shape().rows())));
    }

    /** attended = softmax(q kᵀ / sqrt(D)) v over positions 0 to the row's own; head n reads KV head n / (N / G). */
    static void attend(double[] attended, double[] q, int qWidth, KvCache kv, int layer, Batch batch) {
        int dim = kv.headDim();
        int heads = qWidth / dim;
        int group = heads / (int) (kv.width() / dim);
        ReferenceTensor.Kv keys = ReferenceTensor.kv(kv.keys());
        ReferenceTensor.Kv values = ReferenceTensor.kv(kv.values());
        IntStream.range(0, batch.rows() * heads).parallel().forEach(task -> {
            int row = task / heads;
            int head = task % heads;
            int at = row * qWidth + head * dim;
            int kvAt = head / group * dim;
            int positions = batch.position(row) + 1;
            double[] scores = new double[positions];
            for (int p = 0; p < positions; p++) {
                double[] block = block(keys, layer, batch, batch.sequence(row), p);
                int key = keys.rowAt(p) + kvAt;
                double sum = 0;
                for (int i = 0; i < dim; i++) {
                    sum += q[at + i] * block[key + i];
                }
                scores[p] = sum / Math.sqrt(dim);
            }
            Maths.softmax(scores, positions);
            double[] sums = new double[dim];
            for (int p = 0; p < positions; p++) {
                double[] block = block(values, layer, batch, batch.sequence(row), p);
                int value = values.rowAt(p) + kvAt;
                for (int i = 0; i < dim; i++) {
                    sums[i] += scores[p] * block[value + i];
                }
            }
            System.arraycopy(sums, 0, attended, at, dim);
        });
    }
}
