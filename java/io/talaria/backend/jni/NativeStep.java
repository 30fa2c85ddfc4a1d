package io.talaria.backend.jni;

import io.talaria.backend.AttentionWeights;
import io.talaria.backend.DeviceException;
import io.talaria.backend.Event;
import io.talaria.backend.ExpertWeights;
import io.talaria.backend.KvCache;
import io.talaria.backend.OutputWeights;
import io.talaria.backend.RouterWeights;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import java.util.Optional;

/** A step behind the C ABI: each verb appends its args struct; all shapes are checked there. */
final class NativeStep implements Step {
    private final NativeDevice device;
    private final long handle;
    private final StepOptions options;

    NativeStep(NativeDevice device, long handle, StepOptions options) {
        this.device = device;
        this.handle = handle;
        this.options = options;
    }

    long handle() {
        return handle;
    }

    NativeDevice device() {
        return device;
    }

    @Override
    public StepOptions options() {
        return options;
    }

    @Override
    public void embed(Tensor x, Tensor table) {
        append(OpArgs.embed(of(x), of(table)));
    }

    @Override
    public void attentionInput(Tensor q, Tensor x, AttentionWeights weights, KvCache kv, int layer) {
        OpArgs.Rope rope = new OpArgs.Rope(kv.headDim(), weights.ropeDims(), weights.ropeBase(), weights.epsilon());
        append(OpArgs.attentionInput(
                of(q),
                of(x),
                of(weights.norm()),
                of(weights.query()),
                of(weights.key()),
                of(weights.value()),
                of(kv.keys()),
                of(kv.values()),
                layer,
                rope));
    }

    @Override
    public void attention(Tensor attended, Tensor q, KvCache kv, int layer) {
        float scale = (float) (1.0 / Math.sqrt(kv.headDim()));
        append(OpArgs.attention(of(attended), of(q), of(kv.keys()), of(kv.values()), layer, kv.headDim(), scale));
    }

    @Override
    public void attentionOutput(Tensor x, Tensor attended, AttentionWeights weights) {
        append(OpArgs.attentionOutput(of(x), of(attended), of(weights.output())));
    }

    @Override
    public void route(Tensor routing, Tensor h, Tensor x, RouterWeights weights) {
        append(OpArgs.route(of(routing), of(h), of(x), of(weights.norm()), of(weights.router()), weights.epsilon()));
    }

    @Override
    public void experts(Tensor slots, Tensor h, Tensor routing, ExpertWeights weights) {
        append(OpArgs.experts(
                of(slots),
                of(h),
                of(routing),
                of(weights.gate()),
                of(weights.up()),
                of(weights.down()),
                weights.map().map(NativeStep::of).orElse(0L)));
    }

    @Override
    public void addSlots(Tensor x, Tensor slots) {
        append(OpArgs.addSlots(of(x), of(slots)));
    }

    @Override
    public void topLogits(Tensor top, Tensor x, OutputWeights weights, int k, Optional<Tensor> logits) {
        append(OpArgs.topLogits(
                of(top),
                of(x),
                of(weights.norm()),
                of(weights.output()),
                logits.map(NativeStep::of).orElse(0L),
                k,
                weights.epsilon()));
    }

    @Override
    public void copy(Tensor target, long targetOffset, Tensor source, long sourceOffset, long rowBytes) {
        append(OpArgs.copy(of(target), of(source), targetOffset, sourceOffset, rowBytes));
    }

    @Override
    public void zero(Tensor target) {
        append(OpArgs.zero(of(target)));
    }

    @Override
    public void signal(Event event) {
        append(OpArgs.event(Native.TALARIA_OP_SIGNAL, eventOf(event)));
    }

    @Override
    public void await(Event event) {
        append(OpArgs.event(Native.TALARIA_OP_WAIT, eventOf(event)));
    }

    @Override
    public void end() {
        device.endStep(this);
    }

    @Override
    public void close() {
        device.freeStep(this);
    }

    private void append(OpArgs args) {
        device.append(this, args);
    }

    private static long of(Tensor tensor) {
        return NativeTensor.handleOf(tensor);
    }

    private static long eventOf(Event event) {
        if (event instanceof NativeEvent nativeEvent) {
            return nativeEvent.handle();
        }
        throw DeviceException.invalid("the event is of another backend");
    }
}
