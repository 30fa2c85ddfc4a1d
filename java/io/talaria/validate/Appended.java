package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.Batch;
import io.talaria.backend.KvCache;
import io.talaria.quant.TensorType;
import io.talaria.validate.Verbs.AttentionSources;
import java.util.List;

/**
 * What {@code attentionInput} computed: q, and what it put into the cache. That is read through {@code attention}: with
 * q = 0 it gives the values, and with a small q values weighted by what the keys make of it.
 *
 * @param q {@code [R][N * D]}
 * @param values {@code [R][N * D]}
 * @param keys {@code [R][N * D]}
 */
record Appended(float[] q, float[] values, float[] keys) {
    /** @param batch the positions to read, which may be named by other tables than those that were written through */
    static Appended read(Verbs verbs, float[] q, Batch batch, KvCache kv, int layer) {
        int width = q.length / batch.rows();
        float[] values = verbs.attention(batch, new float[q.length], width, kv, layer);
        float[] keys = verbs.attention(batch, Inputs.probe(batch.rows(), width), width, kv, layer);
        return new Appended(q, values, keys);
    }

    /** @param names of the weights behind q, keys and values */
    List<Finding> against(
            Appended expected,
            int width,
            AttentionSources sources,
            Activations mode,
            TensorType kvType,
            List<String> names) {
        double bound = Bounds.product(sources.query().type(), mode);
        double cached = Bounds.cache(sources.key().type(), sources.value().type(), kvType, mode);
        return List.of(
                Compare.rows("q, " + names.get(0), q, expected.q, width, bound),
                // Wrong values make the keys' part wrong too, so they come first.
                cached("values, " + names.get(2), values, expected.values, width, cached),
                cached("keys, " + names.get(1), keys, expected.keys, width, cached));
    }

    /** A cache can be seen through {@code attention} alone, so what is wrong there may be either verb's fault. */
    private static Finding cached(String part, float[] computed, float[] expected, int width, double bound) {
        return Compare.rows("cached " + part, computed, expected, width, bound)
                .suspecting("this was read through attention, which may be what is wrong if it fails too");
    }
}
