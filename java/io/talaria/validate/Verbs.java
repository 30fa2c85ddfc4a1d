package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.AttentionWeights;
import io.talaria.backend.Batch;
import io.talaria.backend.ExpertWeights;
import io.talaria.backend.KvCache;
import io.talaria.backend.OutputWeights;
import io.talaria.backend.RouterWeights;
import io.talaria.backend.Shape;
import io.talaria.backend.Tensor;
import io.talaria.backend.TensorSource;
import io.talaria.backend.TopLogits;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * The verbs on one device, one at a time: arrays in, arrays out. Arrays hold the batch's rows; on the device the tensors
 * have a row more than the step, and what is behind the batch's rows is NaN, which no verb may read or overwrite.
 */
final class Verbs {
    private final Rig rig;
    private final Activations mode;
    private final boolean reference;

    /** What {@code attentionInput} reads, and how it turns. */
    record AttentionSources(
            TensorSource norm,
            TensorSource query,
            TensorSource key,
            TensorSource value,
            int ropeDims,
            float ropeBase,
            float epsilon) {
        int queryWidth() {
            return Math.toIntExact(query.shape().rows());
        }
    }

    /** The planes of the experts that are held, and where each expert is. */
    record ExpertSources(TensorSource gate, TensorSource up, TensorSource down, Optional<int[]> map) {}

    /** The rows of {@code topLogits}: as {@link TopLogits} reads them, and all logits {@code [W][V]} if asked for. */
    record Top(TopLogits top, Optional<float[]> logits) {}

    Verbs(Rig rig, Activations mode, boolean reference) {
        this.rig = rig;
        this.mode = mode;
        this.reference = reference;
    }

    Rig rig() {
        return rig;
    }

    /** Whether this computes what is expected; then it may be asked for more than the device is. */
    boolean onReference() {
        return reference;
    }

    /** Returns x {@code [R][H]}. */
    float[] embed(Batch batch, TensorSource table) throws IOException {
        int hidden = columns(table);
        Tensor weight = rig.weight(table);
        Tensor x = rows("x", batch, hidden);
        rig.run(mode, batch, step -> step.embed(x, weight));
        return rig.floats(x, batch.rows() * hidden);
    }

    /** Appends to the cache; returns q {@code [R][N * D]}. */
    float[] attentionInput(Batch batch, float[] x, AttentionSources sources, KvCache kv, int layer) throws IOException {
        AttentionWeights weights = new AttentionWeights(
                rig.weight(sources.norm()),
                rig.weight(sources.query()),
                rig.weight(sources.key()),
                rig.weight(sources.value()),
                rig.weight(sources.query()), // the output product is another verb's
                sources.ropeDims(),
                sources.ropeBase(),
                sources.epsilon());
        Tensor in = rows("x", batch, columns(sources.query()), x);
        Tensor q = rows("q", batch, sources.queryWidth());
        rig.run(mode, batch, step -> step.attentionInput(q, in, weights, kv, layer));
        return rig.floats(q, batch.rows() * sources.queryWidth());
    }

    /** Returns attended {@code [R][N * D]}. */
    float[] attention(Batch batch, float[] q, int width, KvCache kv, int layer) {
        Tensor in = rows("q", batch, width, q);
        Tensor attended = rows("attended", batch, width);
        rig.run(mode, batch, step -> step.attention(attended, in, kv, layer));
        return rig.floats(attended, batch.rows() * width);
    }

    /** Returns what x {@code [R][H]} becomes. */
    float[] attentionOutput(Batch batch, float[] x, float[] attended, TensorSource output) throws IOException {
        int hidden = Math.toIntExact(output.shape().rows());
        Tensor weight = rig.weight(output);
        AttentionWeights weights = new AttentionWeights(weight, weight, weight, weight, weight, 2, 1, 1);
        Tensor sum = rows("x", batch, hidden, x);
        Tensor in = rows("attended", batch, columns(output), attended);
        rig.run(mode, batch, step -> step.attentionOutput(sum, in, weights));
        return rig.floats(sum, batch.rows() * hidden);
    }

    /** Routing {@code [R][2 * K]} and h {@code [R][H]}. */
    record Routed(int[] routing, float[] h) {}

    Routed route(Batch batch, float[] x, TensorSource norm, TensorSource router, float epsilon, int used)
            throws IOException {
        int hidden = columns(router);
        RouterWeights weights = new RouterWeights(rig.weight(norm), rig.weight(router), epsilon);
        Tensor in = rows("x", batch, hidden, x);
        Tensor h = rows("h", batch, hidden);
        Tensor routing = rig.ints("routing", capacity(batch, 2 * used));
        rig.run(mode, batch, step -> step.route(routing, h, in, weights));
        return new Routed(rig.ints(routing, batch.rows() * 2 * used), rig.floats(h, batch.rows() * hidden));
    }

    /** Returns slots {@code [R][K][H]}. */
    float[] experts(Batch batch, float[] h, int[] routing, ExpertSources sources) throws IOException {
        int hidden = columns(sources.gate());
        int used = routing.length / batch.rows() / 2;
        Optional<Tensor> map = sources.map().map(ids -> rig.ints("map", Shape.of(ids.length), ids));
        ExpertWeights weights = new ExpertWeights(
                rig.weight(sources.gate()), rig.weight(sources.up()), rig.weight(sources.down()), map);
        Tensor in = rows("h", batch, hidden, h);
        Tensor chosen = rig.ints("routing", capacity(batch, 2 * used), routing);
        Tensor slots = rig.floats("slots", new Shape(1, batch.shape().rows() + 1L, used, hidden));
        rig.run(mode, batch, step -> step.experts(slots, in, chosen, weights));
        return rig.floats(slots, batch.rows() * used * hidden);
    }

    /** Slots {@code [S][R][K][H]} with exactly the step's rows; returns what x {@code [R][H]} becomes. */
    float[] addSlots(Batch batch, float[] x, float[] slots, int sources, int used) {
        int hidden = x.length / batch.rows();
        Shape shape = new Shape(sources, batch.shape().rows(), used, hidden);
        Tensor sum = rows("x", batch, hidden, x);
        Tensor in = rig.floats("slots", shape, slots);
        rig.run(mode, batch, step -> step.addSlots(sum, in));
        return rig.floats(sum, batch.rows() * hidden);
    }

    Top topLogits(
            Batch batch, float[] x, TensorSource norm, TensorSource output, float epsilon, int k, boolean keepLogits)
            throws IOException {
        OutputWeights weights = new OutputWeights(rig.weight(norm), rig.weight(output), epsilon);
        long vocabulary = output.shape().rows();
        int words = TopLogits.words(k, batch.shape().targets());
        Shape rows = Shape.of(batch.shape().wanted() + 1L, vocabulary);
        Tensor in = rows("x", batch, columns(output), x);
        Tensor top = rig.ints("top", Shape.of(batch.shape().wanted() + 1L, words));
        Optional<Tensor> logits = keepLogits ? Optional.of(rig.floats("logits", rows)) : Optional.empty();
        rig.run(mode, batch, step -> step.topLogits(top, in, weights, k, logits));
        int[] read = rig.ints(top, batch.wanted() * words);
        ByteBuffer bytes = ByteBuffer.allocate(read.length * Integer.BYTES);
        TopLogits rowsOfTop = new TopLogits(k, batch.shape().targets(), bytes);
        bytes.asIntBuffer().put(read);
        return new Top(
                rowsOfTop, logits.map(tensor -> rig.floats(tensor, Math.toIntExact(batch.wanted() * vocabulary))));
    }

    private Tensor rows(String label, Batch batch, int columns, float... values) {
        return rig.floats(label, capacity(batch, columns), values);
    }

    /** A row more than the step has, so that a write past its last row is seen. */
    private static Shape capacity(Batch batch, int columns) {
        return Shape.of(batch.shape().rows() + 1L, columns);
    }

    private static int columns(TensorSource source) {
        return Math.toIntExact(source.shape().columns());
    }
}
