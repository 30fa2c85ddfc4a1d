package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.AttentionWeights;
import io.talaria.backend.Batch;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.Event;
import io.talaria.backend.ExpertWeights;
import io.talaria.backend.KvCache;
import io.talaria.backend.OutputWeights;
import io.talaria.backend.RouterWeights;
import io.talaria.backend.Shape;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.backend.TensorSource;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/** A device that computes rightly but for one fault, in one layer or in all. Its steps have one verb each. */
class FaultyDevice implements Device {
    private final Device right;
    private final Fault fault;
    private final int faultyLayer;
    private int layer = -1;

    /** @param faultyLayer where the fault is, as the verbs of attention count them; -1: everywhere */
    FaultyDevice(Device right, Fault fault, int faultyLayer) {
        this.right = right;
        this.fault = fault;
        this.faultyLayer = faultyLayer;
    }

    @Override
    public void run(Step step, Batch batch) {
        FaultyStep faulty = (FaultyStep) step;
        Fault.Call call = faulty.call;
        layer = call.layer() >= 0 ? call.layer() : layer;
        if (!call.verb().equals(fault.verb()) || (faultyLayer >= 0 && faultyLayer != layer)) {
            right.run(faulty.right, batch);
            return;
        }
        fault.before(right, call, batch);
        right.run(faulty.right, fault.batch(batch));
        right.sync();
        fault.after(right, call, batch);
    }

    @Override
    public Step newStep(StepOptions options) {
        return new FaultyStep(right.newStep(options));
    }

    /** Remembers its verb. */
    private static final class FaultyStep implements Step {
        private final Step right;
        private Fault.Call call;

        FaultyStep(Step right) {
            this.right = right;
        }

        private void called(String verb, int layer, Tensor... tensors) {
            call = new Fault.Call(verb, List.of(tensors), layer);
        }

        @Override
        public void embed(Tensor x, Tensor table) {
            called("embed", -1, x);
            right.embed(x, table);
        }

        @Override
        public void attentionInput(Tensor q, Tensor x, AttentionWeights weights, KvCache kv, int layer) {
            called("attentionInput", layer, q, x);
            right.attentionInput(q, x, weights, kv, layer);
        }

        @Override
        public void attention(Tensor attended, Tensor q, KvCache kv, int layer) {
            called("attention", layer, attended, q);
            right.attention(attended, q, kv, layer);
        }

        @Override
        public void attentionOutput(Tensor x, Tensor attended, AttentionWeights weights) {
            called("attentionOutput", -1, x, attended);
            right.attentionOutput(x, attended, weights);
        }

        @Override
        public void route(Tensor routing, Tensor h, Tensor x, RouterWeights weights) {
            called("route", -1, routing, h, x);
            right.route(routing, h, x, weights);
        }

        @Override
        public void experts(Tensor slots, Tensor h, Tensor routing, ExpertWeights weights) {
            called("experts", -1, slots, h, routing);
            right.experts(slots, h, routing, weights);
        }

        @Override
        public void addSlots(Tensor x, Tensor slots) {
            called("addSlots", -1, x, slots);
            right.addSlots(x, slots);
        }

        @Override
        public void topLogits(Tensor top, Tensor x, OutputWeights weights, int k, Optional<Tensor> logits) {
            called("topLogits", -1, top, x);
            right.topLogits(top, x, weights, k, logits);
        }

        @Override
        public void copy(Tensor target, long targetOffset, Tensor source, long sourceOffset, long rowBytes) {
            called("copy", -1, target, source);
            right.copy(target, targetOffset, source, sourceOffset, rowBytes);
        }

        @Override
        public void zero(Tensor target) {
            called("zero", -1, target);
            right.zero(target);
        }

        @Override
        public void signal(Event event) {
            right.signal(event);
        }

        @Override
        public void await(Event event) {
            right.await(event);
        }

        @Override
        public StepOptions options() {
            return right.options();
        }

        @Override
        public void end() {
            right.end();
        }

        @Override
        public void close() {
            right.close();
        }
    }

    /** Takes one mode for another. */
    static Device confusing(Device right, Activations taken, Activations computed) {
        return new FaultyDevice(right, new Fault("", "") {}, -1) {
            @Override
            public Step newStep(StepOptions options) {
                boolean confused = options.activations() == taken;
                return super.newStep(
                        confused ? new StepOptions(computed, options.batch(), options.batchInvariant()) : options);
            }
        };
    }

    /** Loads other weights than it is given, or refuses them. */
    static Device loading(Device right, UnaryOperator<TensorSource> change) {
        return new FaultyDevice(right, new Fault("", "") {}, -1) {
            @Override
            public Tensor load(TensorSource source) throws IOException {
                return super.load(change.apply(source));
            }
        };
    }

    /** Has no weights of a type. */
    static Device without(Device right, TensorType missing) {
        return loading(right, source -> {
            if (source.type() == missing) {
                throw new DeviceException(DeviceException.Kind.UNSUPPORTED, "there is no " + missing + " here");
            }
            return source;
        });
    }

    /** Takes a row of a weight for zeros, in every plane. */
    static Device dropping(Device right, String name, int row) {
        return loading(right, source -> source.name().equals(name) ? new RowDropped(source, row) : source);
    }

    /** Bytes of zero have a scale of zero, and so are values of zero. */
    private record RowDropped(TensorSource whole, int row) implements TensorSource {
        @Override
        public String name() {
            return whole.name();
        }

        @Override
        public TensorType type() {
            return whole.type();
        }

        @Override
        public Shape shape() {
            return whole.shape();
        }

        @Override
        public void read(long offset, ByteBuffer target) throws IOException {
            int begin = target.position();
            whole.read(offset, target);
            long rowBytes = type().bytes(shape().columns());
            for (int i = begin; i < target.position(); i++) {
                if ((offset + i - begin) / rowBytes % shape().rows() == row) {
                    target.put(i, (byte) 0);
                }
            }
        }
    }

    @Override
    public DeviceInfo info() {
        return right.info();
    }

    @Override
    public Tensor load(TensorSource source) throws IOException {
        return right.load(source);
    }

    @Override
    public Tensor alloc(String label, Tensor.Kind kind, TensorType type, Shape shape) {
        return right.alloc(label, kind, type, shape);
    }

    @Override
    public void free(Tensor tensor) {
        right.free(tensor);
    }

    @Override
    public void write(Tensor target, long offset, ByteBuffer source) {
        right.write(target, offset, source);
    }

    @Override
    public void read(Tensor source, long offset, ByteBuffer target) {
        right.read(source, offset, target);
    }

    @Override
    public void sync() {
        right.sync();
    }

    @Override
    public double readBandwidth(long bytes) {
        return right.readBandwidth(bytes);
    }

    @Override
    public boolean lost() {
        return right.lost();
    }

    @Override
    public void close() {
        right.close();
    }
}
