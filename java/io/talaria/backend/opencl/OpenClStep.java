package io.talaria.backend.opencl;

import io.talaria.backend.AttentionWeights;
import io.talaria.backend.DeviceException;
import io.talaria.backend.Event;
import io.talaria.backend.ExpertWeights;
import io.talaria.backend.HostTensor;
import io.talaria.backend.KvCache;
import io.talaria.backend.OutputWeights;
import io.talaria.backend.RouterWeights;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.backend.TopLogits;
import io.talaria.quant.TensorType;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The verbs of a step: checked, and then composed. Guarded by its device. */
final class OpenClStep implements Step {
    private static final int MOST_K = 1024;

    private final OpenClDevice device;
    private final StepOptions options;
    private final BatchChecks batches;
    private final Memory.Buffer batch;
    private final Composer composer;
    private final List<DeviceTensor> used = new ArrayList<>();
    private BoundStep bound;
    private boolean ended;
    private boolean closed;

    OpenClStep(OpenClDevice device, StepOptions options, Memory.Buffer batch, Composer composer) {
        this.device = device;
        this.options = options;
        this.batches = new BatchChecks(options.batch());
        this.batch = batch;
        this.composer = composer;
    }

    OpenClDevice device() {
        return device;
    }

    @Override
    public StepOptions options() {
        return options;
    }

    /** What the device runs. */
    BoundStep bound() {
        if (!ended || closed) {
            throw DeviceException.invalid(closed ? "the step is closed" : "the step has not ended; end it first");
        }
        return bound;
    }

    void checkBatch(int[] words) {
        batches.check(words);
    }

    /** Appends a verb: what {@code verb} reads or writes is kept from being freed. */
    private void append(Runnable verb, DeviceTensor... tensors) {
        verb.run();
        for (DeviceTensor tensor : tensors) {
            tensor.retain();
            used.add(tensor);
        }
    }

    private VerbChecks checks(String verb) {
        if (ended || closed) {
            throw DeviceException.invalid(verb + ": the step has ended");
        }
        device.requireOpen();
        return new VerbChecks(device, verb, options.batch().rows());
    }

    @Override
    public void embed(Tensor x, Tensor table) {
        synchronized (device) {
            VerbChecks c = checks("embed");
            DeviceTensor from = c.weight(table, "table", 1, -1, -1);
            DeviceTensor to = c.floats(x, "x", from.shape().columns());
            batches.limitTokens(from.shape().rows());
            append(() -> composer.embed(to, from), to, from);
        }
    }

    @Override
    public void attentionInput(Tensor q, Tensor x, AttentionWeights weights, KvCache kv, int layer) {
        synchronized (device) {
            VerbChecks c = checks("attentionInput");
            DeviceTensor keys = c.cache(kv, layer);
            DeviceTensor from = c.floats(x, "x", -1);
            DeviceTensor to = c.floats(q, "q", -1);
            long hidden = from.shape().columns();
            Composer.AttentionInput in = new Composer.AttentionInput(
                    to,
                    from,
                    c.norm(weights.norm(), hidden),
                    c.weight(weights.query(), "query", 1, to.shape().columns(), hidden),
                    c.weight(weights.key(), "key", 1, -1, hidden),
                    c.weight(weights.value(), "value", 1, in(weights.key()), hidden));
            c.require(to.shape().columns() % kv.headDim() == 0, "q", "rows are no whole heads");
            c.require(in.wk().shape().rows() == kv.width(), "key", "is not as wide as the cache");
            int dims = weights.ropeDims();
            c.require(dims >= 2 && dims % 2 == 0 && dims <= kv.headDim(), "ropeDims", "must be even and within a head");
            c.positive(weights.ropeBase(), "ropeBase");
            c.positive(weights.epsilon(), "epsilon");
            c.differ("q", to, from);
            c.useCache(batches, keys, true);
            append(
                    () -> composer.attentionInput(in, kv, layer, dims, weights.ropeBase(), weights.epsilon()),
                    to,
                    from,
                    in.norm(),
                    in.wq(),
                    in.wk(),
                    in.wv(),
                    keys,
                    DeviceTensor.of(device, kv.values()));
        }
    }

    private static long in(Tensor tensor) {
        return tensor == null ? -1 : tensor.shape().rows();
    }

    @Override
    public void attention(Tensor attended, Tensor q, KvCache kv, int layer) {
        synchronized (device) {
            VerbChecks c = checks("attention");
            DeviceTensor keys = c.cache(kv, layer);
            DeviceTensor from = c.floats(q, "q", -1);
            DeviceTensor to = c.floats(attended, "attended", from.shape().columns());
            c.differ("attended", to, from);
            c.heads(from, kv);
            c.useCache(batches, keys, false);
            append(() -> composer.attention(to, from, kv, layer), to, from, keys, DeviceTensor.of(device, kv.values()));
        }
    }

    @Override
    public void attentionOutput(Tensor x, Tensor attended, AttentionWeights weights) {
        synchronized (device) {
            VerbChecks c = checks("attentionOutput");
            DeviceTensor to = c.floats(x, "x", -1);
            DeviceTensor from = c.floats(attended, "attended", -1);
            DeviceTensor output = c.weight(
                    weights.output(),
                    "output",
                    1,
                    to.shape().columns(),
                    from.shape().columns());
            c.differ("x", to, from);
            append(() -> composer.attentionOutput(to, from, output), to, from, output);
        }
    }

    @Override
    public void route(Tensor routing, Tensor h, Tensor x, RouterWeights weights) {
        synchronized (device) {
            VerbChecks c = checks("route");
            DeviceTensor from = c.floats(x, "x", -1);
            long hidden = from.shape().columns();
            DeviceTensor normed = c.floats(h, "h", hidden);
            DeviceTensor norm = c.norm(weights.norm(), hidden);
            DeviceTensor router = c.router(weights.router(), hidden);
            DeviceTensor chosen = c.routing(routing);
            long experts = chosen.shape().columns() / 2;
            c.require(experts >= 1 && experts <= router.shape().rows(), "routing", "has more slots than experts");
            c.positive(weights.epsilon(), "epsilon");
            c.differ("h", normed, from);
            append(
                    () -> composer.route(chosen, normed, from, norm, router, weights.epsilon()),
                    chosen,
                    normed,
                    from,
                    norm,
                    router);
        }
    }

    @Override
    public void experts(Tensor slots, Tensor h, Tensor routing, ExpertWeights weights) {
        synchronized (device) {
            VerbChecks c = checks("experts");
            DeviceTensor from = c.floats(h, "h", -1);
            long hidden = from.shape().columns();
            DeviceTensor chosen = c.routing(routing);
            DeviceTensor gate = c.experts(weights.gate(), "gate", -1, -1, hidden);
            long planes = gate.shape().planes();
            long width = gate.shape().rows();
            DeviceTensor up = c.experts(weights.up(), "up", planes, width, hidden);
            DeviceTensor down = c.experts(weights.down(), "down", planes, hidden, width);
            DeviceTensor to = c.slots(slots, chosen.shape().columns() / 2, hidden);
            Optional<DeviceTensor> map = weights.map().map(c::map);
            c.differ("slots", to, from);
            map.ifPresent(ids -> c.differ("map", ids, chosen));
            Composer.Experts all = new Composer.Experts(to, from, chosen, gate, up, down, map);
            append(() -> composer.experts(all), to, from, chosen, gate, up, down);
            map.ifPresent(ids -> append(() -> {}, ids));
        }
    }

    @Override
    public void addSlots(Tensor x, Tensor slots) {
        synchronized (device) {
            VerbChecks c = checks("addSlots");
            DeviceTensor to = c.floats(x, "x", -1);
            DeviceTensor from = c.slots(slots, -1, to.shape().columns());
            append(() -> composer.addSlots(to, from), to, from);
        }
    }

    @Override
    public void topLogits(Tensor top, Tensor x, OutputWeights weights, int k, Optional<Tensor> logits) {
        synchronized (device) {
            VerbChecks c = checks("topLogits");
            DeviceTensor from = c.floats(x, "x", -1);
            DeviceTensor norm = c.norm(weights.norm(), from.shape().columns());
            DeviceTensor output =
                    c.weight(weights.output(), "output", 1, -1, from.shape().columns());
            long vocabulary = output.shape().rows();
            int wanted = options.batch().wanted();
            c.require(vocabulary <= Integer.MAX_VALUE, "output", "has more rows than a token id can name");
            c.require(wanted >= 1, "top", "needs a step whose batches want rows");
            c.require(k >= 1 && k <= MOST_K && k <= vocabulary, "k", "must be 1 to 1024 and at most the vocabulary");
            int maskWords = options.batch().maskWords();
            c.require(
                    maskWords == 0 || maskWords == (vocabulary + 31) / 32,
                    "output",
                    "does not match the batch's mask words");
            int words = TopLogits.words(k, options.batch().targets());
            DeviceTensor to = c.activation(top, "top", TensorType.I32, words, wanted);
            Optional<DeviceTensor> all =
                    logits.map(tensor -> c.activation(tensor, "logits", TensorType.F32, vocabulary, wanted));
            all.ifPresent(tensor -> c.differ("logits", tensor, from));
            c.positive(weights.epsilon(), "epsilon");
            batches.limitOutput(vocabulary);
            append(() -> composer.topLogits(to, from, norm, output, weights.epsilon(), k, all), to, from, norm, output);
            all.ifPresent(tensor -> append(() -> {}, tensor));
        }
    }

    @Override
    public void copy(Tensor target, long targetOffset, Tensor source, long sourceOffset, long rowBytes) {
        synchronized (device) {
            VerbChecks c = checks("copy");
            c.require(target != source, "target", "is written and read by the same verb");
            c.require(
                    rowBytes >= 4 && rowBytes % 4 == 0 && rowBytes <= Integer.MAX_VALUE,
                    "rowBytes",
                    "must be a positive multiple of 4 that does not overflow");
            moved(c, "target", target, targetOffset, rowBytes);
            moved(c, "source", source, sourceOffset, rowBytes);
            composer.add(new Command.Copy(target, targetOffset, source, sourceOffset, rowBytes));
        }
    }

    /** An activation of this device, or a host tensor, that holds the step's rows from an offset on. */
    private void moved(VerbChecks c, String name, Tensor tensor, long offset, long rowBytes) {
        movable(c, name, tensor);
        long bytes = rowBytes * options.batch().rows();
        boolean fits = offset >= 0 && offset % 4 == 0 && offset <= tensor.bytes() - bytes;
        c.require(fits, name, "does not hold the rows");
    }

    private void movable(VerbChecks c, String name, Tensor tensor) {
        if (!(tensor instanceof HostTensor)) {
            DeviceTensor own = DeviceTensor.of(device, tensor);
            c.require(own.kind() == Tensor.Kind.ACTIVATION, name, "is no activation or host tensor");
            append(() -> {}, own);
        }
    }

    @Override
    public void zero(Tensor target) {
        synchronized (device) {
            movable(checks("zero"), "target", target);
            composer.add(new Command.Zero(target));
        }
    }

    @Override
    public void signal(Event event) {
        synchronized (device) {
            checks("signal").require(event != null, "event", "is null");
            composer.add(new Command.Signal(event));
        }
    }

    @Override
    public void await(Event event) {
        synchronized (device) {
            checks("await").require(event != null, "event", "is null");
            composer.add(new Command.Await(event));
        }
    }

    @Override
    public void end() {
        synchronized (device) {
            checks("end");
            bound = device.bind(composer, batch);
            ended = true;
        }
    }

    @Override
    public void close() {
        synchronized (device) {
            if (!closed) {
                closed = true;
                device.forget(this);
            }
        }
    }

    /** Frees what the step holds; its device runs nothing of it any more. */
    void release() {
        closed = true;
        if (bound != null) {
            bound.close();
        }
        batch.close();
        used.forEach(DeviceTensor::release);
        used.clear();
    }
}
