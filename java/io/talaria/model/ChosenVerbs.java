package io.talaria.model;

import io.talaria.backend.AttentionWeights;
import io.talaria.backend.DecoderOps;
import io.talaria.backend.Event;
import io.talaria.backend.ExpertWeights;
import io.talaria.backend.KvCache;
import io.talaria.backend.OutputWeights;
import io.talaria.backend.RouterWeights;
import io.talaria.backend.Tensor;
import java.util.Optional;
import java.util.Set;

/** Hands on some verbs of the forward pass and leaves out the others. */
record ChosenVerbs(DecoderOps ops, Set<Verb> chosen) implements DecoderOps {
    private void only(Verb verb, Runnable call) {
        if (chosen.contains(verb)) {
            call.run();
        }
    }

    @Override
    public void embed(Tensor x, Tensor table) {
        only(Verb.EMBED, () -> ops.embed(x, table));
    }

    @Override
    public void attentionInput(Tensor q, Tensor x, AttentionWeights weights, KvCache kv, int layer) {
        only(Verb.ATTENTION_INPUT, () -> ops.attentionInput(q, x, weights, kv, layer));
    }

    @Override
    public void attention(Tensor attended, Tensor q, KvCache kv, int layer) {
        only(Verb.ATTENTION, () -> ops.attention(attended, q, kv, layer));
    }

    @Override
    public void attentionOutput(Tensor x, Tensor attended, AttentionWeights weights) {
        only(Verb.ATTENTION_OUTPUT, () -> ops.attentionOutput(x, attended, weights));
    }

    @Override
    public void route(Tensor routing, Tensor h, Tensor x, RouterWeights weights) {
        only(Verb.ROUTE, () -> ops.route(routing, h, x, weights));
    }

    @Override
    public void experts(Tensor slots, Tensor h, Tensor routing, ExpertWeights weights) {
        only(Verb.EXPERTS, () -> ops.experts(slots, h, routing, weights));
    }

    @Override
    public void addSlots(Tensor x, Tensor slots) {
        only(Verb.ADD_SLOTS, () -> ops.addSlots(x, slots));
    }

    @Override
    public void topLogits(Tensor top, Tensor x, OutputWeights weights, int k, Optional<Tensor> logits) {
        only(Verb.TOP_LOGITS, () -> ops.topLogits(top, x, weights, k, logits));
    }

    @Override
    public void copy(Tensor target, long targetOffset, Tensor source, long sourceOffset, long rowBytes) {
        ops.copy(target, targetOffset, source, sourceOffset, rowBytes);
    }

    @Override
    public void zero(Tensor target) {
        ops.zero(target);
    }

    @Override
    public void signal(Event event) {
        ops.signal(event);
    }

    @Override
    public void await(Event event) {
        ops.await(event);
    }
}
