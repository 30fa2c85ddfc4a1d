package io.talaria.backend.reference;

import io.talaria.backend.Activations;
import io.talaria.backend.AttentionWeights;
import io.talaria.backend.Batch;
import io.talaria.backend.DeviceException;
import io.talaria.backend.Event;
import io.talaria.backend.ExpertWeights;
import io.talaria.backend.KvCache;
import io.talaria.backend.OutputWeights;
import io.talaria.backend.RouterWeights;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.backend.TopLogits;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** A list of closures, one per verb. */
final class ReferenceStep implements Step {
    private final ReferenceDevice device;
    private final StepOptions options;
    private final List<Consumer<Batch>> verbs = new ArrayList<>();
    private boolean ended;
    private boolean closed;

    ReferenceStep(ReferenceDevice device, StepOptions options) {
        this.device = device;
        this.options = options;
    }

    ReferenceDevice device() {
        return device;
    }

    @Override
    public StepOptions options() {
        return options;
    }

    void run(Batch batch) {
        if (!ended || closed) {
            throw DeviceException.invalid(closed ? "the step is closed" : "the step has not ended; end it first");
        }
        if (batch.rows() < 1) {
            throw DeviceException.invalid("the batch has no rows");
        }
        verbs.forEach(verb -> verb.accept(batch));
    }

    @Override
    public void embed(Tensor x, Tensor table) {
        ReferenceTensor.Floats to = rows(x);
        ReferenceTensor.Weight from = ReferenceTensor.weight(table);
        require(from.shape().columns() == to.columns(), "embed: x and table differ in width");
        add(batch -> {
            for (int row = 0; row < batch.rows(); row++) {
                float[] values =
                        Maths.row(from, below(batch.token(row), from.shape().rows(), "token"));
                for (int i = 0; i < values.length; i++) {
                    to.values()[row * values.length + i] = values[i];
                }
            }
        });
    }

    @Override
    public void attentionInput(Tensor q, Tensor x, AttentionWeights weights, KvCache kv, int layer) {
        ReferenceTensor.Floats queries = rows(q);
        ReferenceTensor.Floats from = rows(x);
        ReferenceTensor.Weight key = ReferenceTensor.weight(weights.key());
        ReferenceTensor.Weight value = ReferenceTensor.weight(weights.value());
        ReferenceTensor.Weight query = ReferenceTensor.weight(weights.query());
        require(key.shape().rows() == kv.width() && value.shape().rows() == kv.width(), "attentionInput: KV width");
        require(query.shape().rows() == queries.columns(), "attentionInput: q and its weight differ in width");
        require(layer >= 0 && layer < kv.layers(), "attentionInput: the cache has no layer " + layer);
        float[] norm = Maths.decode(ReferenceTensor.weight(weights.norm()));
        int width = Math.toIntExact(kv.width());
        add(batch -> {
            checkBlocks(batch, kv);
            int rows = batch.rows();
            double[] n = Maths.rmsNorm(from.values(), rows, norm, weights.epsilon());
            double[] turned = Maths.matmul(query, 0, n, rows, mode());
            Attention.rope(turned, queries.columns(), kv.headDim(), weights, batch);
            System.arraycopy(turned, 0, queries.values(), 0, turned.length);
            double[] keys = Maths.matmul(key, 0, n, rows, mode());
            Attention.rope(keys, width, kv.headDim(), weights, batch);
            Attention.append(ReferenceTensor.kv(kv.keys()), keys, layer, batch);
            Attention.append(ReferenceTensor.kv(kv.values()), Maths.matmul(value, 0, n, rows, mode()), layer, batch);
        });
    }

    /** Every block that attention reads must be named by the batch and exist. */
    private static void checkBlocks(Batch batch, KvCache kv) {
        for (int row = 0; row < batch.rows(); row++) {
            for (int p = 0; p <= batch.position(row); p += kv.positionsPerBlock()) {
                below(batch.kvBlock(batch.sequence(row), p, kv.positionsPerBlock()), kv.blocks(), "KV block");
            }
        }
    }

    @Override
    public void attention(Tensor attended, Tensor q, KvCache kv, int layer) {
        ReferenceTensor.Floats to = rows(attended);
        ReferenceTensor.Floats from = rows(q);
        require(to.columns() == from.columns(), "attention: attended and q differ in width");
        add(batch -> Attention.attend(to.values(), from.values(), from.columns(), kv, layer, batch));
    }

    @Override
    public void attentionOutput(Tensor x, Tensor attended, AttentionWeights weights) {
        ReferenceTensor.Floats to = rows(x);
        ReferenceTensor.Floats from = rows(attended);
        ReferenceTensor.Weight output = ReferenceTensor.weight(weights.output());
        require(output.shape().rows() == to.columns(), "attentionOutput: x and its weight differ in width");
        add(batch -> {
            double[] out = Maths.matmul(output, 0, from.values(), batch.rows(), mode());
            for (int i = 0; i < out.length; i++) {
                to.values()[i] += out[i];
            }
        });
    }

    @Override
    public void route(Tensor routing, Tensor h, Tensor x, RouterWeights weights) {
        ReferenceTensor.Ints chosen = ReferenceTensor.ints(routing);
        ReferenceTensor.Floats normed = rows(h);
        ReferenceTensor.Floats from = rows(x);
        ReferenceTensor.Weight router = ReferenceTensor.weight(weights.router());
        int experts = Math.toIntExact(router.shape().rows());
        int used = chosen.columns() / 2;
        require(used >= 1 && used <= experts, "route: " + used + " of " + experts + " experts");
        require(!router.type().quantised(), "route: the router must be F32, F16 or BF16");
        float[] norm = Maths.decode(ReferenceTensor.weight(weights.norm()));
        add(batch -> {
            double[] n = Maths.rmsNorm(from.values(), batch.rows(), norm, weights.epsilon());
            System.arraycopy(n, 0, normed.values(), 0, n.length);
            double[] logits = Maths.matmul(router, 0, n, batch.rows(), Activations.EXACT);
            for (int row = 0; row < batch.rows(); row++) {
                Experts.choose(logits, row * experts, experts, chosen.values(), row * 2 * used, used);
            }
        });
    }

    @Override
    public void experts(Tensor slots, Tensor h, Tensor routing, ExpertWeights weights) {
        ReferenceTensor.Floats to = ReferenceTensor.floats(slots);
        ReferenceTensor.Floats from = rows(h);
        ReferenceTensor.Ints chosen = ReferenceTensor.ints(routing);
        int used = chosen.columns() / 2;
        require(
                to.shape().rows() == used
                        && to.shape().planes() >= options.batch().rows(),
                "experts: slots' shape");
        add(batch -> Experts.run(to.values(), from.values(), chosen.values(), batch.rows(), used, weights, mode()));
    }

    @Override
    public void addSlots(Tensor x, Tensor slots) {
        ReferenceTensor.Floats to = rows(x);
        ReferenceTensor.Floats from = ReferenceTensor.floats(slots);
        int sources = Math.toIntExact(from.shape().outer());
        int used = Math.toIntExact(from.shape().rows());
        int hidden = to.columns();
        require(from.columns() == hidden, "addSlots: x and slots differ in width");
        int stride = Math.toIntExact(from.shape().planes()) * used * hidden;
        add(batch -> {
            for (int row = 0; row < batch.rows(); row++) {
                for (int at = row * used * hidden; at < (row + 1) * used * hidden; at++) {
                    double slot = 0;
                    for (int source = 0; source < sources; source++) {
                        slot += from.values()[source * stride + at];
                    }
                    to.values()[row * hidden + at % hidden] += slot;
                }
            }
        });
    }

    @Override
    public void topLogits(Tensor top, Tensor x, OutputWeights weights, int k, Optional<Tensor> logits) {
        ReferenceTensor.Ints to = ReferenceTensor.ints(top);
        ReferenceTensor.Floats from = rows(x);
        ReferenceTensor.Weight output = ReferenceTensor.weight(weights.output());
        require(to.columns() == TopLogits.words(k, options.batch().targets()), "topLogits: top's width");
        float[] norm = Maths.decode(ReferenceTensor.weight(weights.norm()));
        int vocabulary = Math.toIntExact(output.shape().rows());
        int hidden = norm.length;
        double[] copied = logits.map(t -> ReferenceTensor.floats(t).values()).orElse(null);
        add(batch -> {
            double[] wanted = new double[batch.wanted() * hidden];
            for (int i = 0; i < batch.wanted(); i++) {
                System.arraycopy(from.values(), batch.wantedRow(i) * hidden, wanted, i * hidden, hidden);
            }
            double[] n = Maths.rmsNorm(wanted, batch.wanted(), norm, weights.epsilon());
            double[] all = Maths.matmul(output, 0, n, batch.wanted(), mode());
            if (copied != null) {
                System.arraycopy(all, 0, copied, 0, all.length);
            }
            for (int i = 0; i < batch.wanted(); i++) {
                double[] plain = Arrays.copyOfRange(all, i * vocabulary, (i + 1) * vocabulary);
                Logits.choose(plain, batch, i, k, to.values(), i * to.columns());
            }
        });
    }

    @Override
    public void copy(Tensor target, long targetOffset, Tensor source, long sourceOffset, long rowBytes) {
        ReferenceTensor.Floats to = ReferenceTensor.floats(target);
        ReferenceTensor.Floats from = ReferenceTensor.floats(source);
        int row = Math.toIntExact(rowBytes / 4);
        add(batch -> System.arraycopy(
                from.values(),
                Math.toIntExact(sourceOffset / 4),
                to.values(),
                Math.toIntExact(targetOffset / 4),
                batch.rows() * row));
    }

    @Override
    public void zero(Tensor target) {
        if (target instanceof ReferenceTensor.Ints ints) {
            add(batch -> Arrays.fill(ints.values(), 0));
        } else {
            ReferenceTensor.Floats floats = ReferenceTensor.floats(target);
            add(batch -> Arrays.fill(floats.values(), 0));
        }
    }

    @Override
    public void signal(Event event) {
        throw alone();
    }

    @Override
    public void await(Event event) {
        throw alone();
    }

    private static DeviceException alone() {
        return new DeviceException(
                DeviceException.Kind.UNSUPPORTED, "the reference runs alone: it takes no part in a split");
    }

    @Override
    public void end() {
        require(!ended, "the step has ended already");
        ended = true;
    }

    @Override
    public void close() {
        closed = true;
    }

    private void add(Consumer<Batch> verb) {
        require(!ended && !closed, "the step has ended");
        verbs.add(verb);
    }

    private Activations mode() {
        return options.activations();
    }

    /** An F32 activation with at least as many rows as the step. */
    private ReferenceTensor.Floats rows(Tensor tensor) {
        ReferenceTensor.Floats floats = ReferenceTensor.floats(tensor);
        require(floats.shape().rows() >= options.batch().rows(), tensor.label() + " has fewer rows than the step");
        return floats;
    }

    private static int below(int value, long limit, String what) {
        require(value >= 0 && value < limit, "batch: " + what + " is " + value + ", must be 0 to " + (limit - 1));
        return value;
    }

    private static void require(boolean ok, String message) {
        if (!ok) {
            throw DeviceException.invalid(message);
        }
    }
}
