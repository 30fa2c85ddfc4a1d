package io.talaria.backend.jni;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * The args structs of {@code args.h}, filled field by field in the header's order. The names are kept beside the values,
 * so that a test can hold every struct against the header.
 */
final class OpArgs {
    private static final int LARGEST = 128;

    private final int op;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(LARGEST).order(ByteOrder.LITTLE_ENDIAN);
    private final List<String> fields = new ArrayList<>();

    private OpArgs(int op) {
        this.op = op;
        buffer.putInt(0); // size, known at the end
        buffer.putInt(0); // reserved
        fields.add("uint32_t size");
        fields.add("uint32_t reserved");
    }

    static OpArgs embed(long x, long table) {
        return new OpArgs(Native.TALARIA_OP_EMBED).tensor("x", x).tensor("table", table);
    }

    static OpArgs attentionInput(
            long q, long x, long norm, long wq, long wk, long wv, long keys, long values, int layer, Rope rope) {
        return new OpArgs(Native.TALARIA_OP_ATTENTION_INPUT)
                .tensor("q", q)
                .tensor("x", x)
                .tensor("norm", norm)
                .tensor("wq", wq)
                .tensor("wk", wk)
                .tensor("wv", wv)
                .tensor("keys", keys)
                .tensor("values", values)
                .int32("layer", layer)
                .int32("head_dim", rope.headDim())
                .int32("rope_dims", rope.dims())
                .float32("rope_base", rope.base())
                .float32("epsilon", rope.epsilon())
                .int32("pad", 0);
    }

    /** The numbers of attention_input. */
    record Rope(int headDim, int dims, float base, float epsilon) {}

    static OpArgs attention(long attended, long q, long keys, long values, int layer, int headDim, float scale) {
        return new OpArgs(Native.TALARIA_OP_ATTENTION)
                .tensor("attended", attended)
                .tensor("q", q)
                .tensor("keys", keys)
                .tensor("values", values)
                .int32("layer", layer)
                .int32("head_dim", headDim)
                .float32("scale", scale)
                .int32("pad", 0);
    }

    static OpArgs attentionOutput(long x, long attended, long wo) {
        return new OpArgs(Native.TALARIA_OP_ATTENTION_OUTPUT)
                .tensor("x", x)
                .tensor("attended", attended)
                .tensor("wo", wo);
    }

    static OpArgs route(long routing, long h, long x, long norm, long router, float epsilon) {
        return new OpArgs(Native.TALARIA_OP_ROUTE)
                .tensor("routing", routing)
                .tensor("h", h)
                .tensor("x", x)
                .tensor("norm", norm)
                .tensor("router", router)
                .float32("epsilon", epsilon)
                .int32("pad", 0);
    }

    static OpArgs experts(long slots, long h, long routing, long gate, long up, long down, long map) {
        return new OpArgs(Native.TALARIA_OP_EXPERTS)
                .tensor("slots", slots)
                .tensor("h", h)
                .tensor("routing", routing)
                .tensor("gate", gate)
                .tensor("up", up)
                .tensor("down", down)
                .tensor("map", map);
    }

    static OpArgs addSlots(long x, long slots) {
        return new OpArgs(Native.TALARIA_OP_ADD_SLOTS).tensor("x", x).tensor("slots", slots);
    }

    static OpArgs topLogits(long top, long x, long norm, long output, long logits, int k, float epsilon) {
        return new OpArgs(Native.TALARIA_OP_TOP_LOGITS)
                .tensor("top", top)
                .tensor("x", x)
                .tensor("norm", norm)
                .tensor("output", output)
                .tensor("logits", logits)
                .int32("k", k)
                .float32("epsilon", epsilon);
    }

    static OpArgs copy(long target, long source, long targetOffset, long sourceOffset, long rowBytes) {
        return new OpArgs(Native.TALARIA_OP_COPY)
                .tensor("target", target)
                .tensor("source", source)
                .int64("target_offset", targetOffset)
                .int64("source_offset", sourceOffset)
                .int64("row_bytes", rowBytes);
    }

    static OpArgs zero(long target) {
        return new OpArgs(Native.TALARIA_OP_ZERO).tensor("target", target);
    }

    static OpArgs event(int op, long event) {
        return new OpArgs(op).field("talaria_event event", event);
    }

    private OpArgs tensor(String name, long handle) {
        return field("talaria_tensor " + name, handle);
    }

    private OpArgs int64(String name, long value) {
        return field("int64_t " + name, value);
    }

    private OpArgs field(String declaration, long value) {
        fields.add(declaration);
        buffer.putLong(value);
        return this;
    }

    private OpArgs int32(String name, int value) {
        fields.add("int32_t " + name);
        buffer.putInt(value);
        return this;
    }

    private OpArgs float32(String name, float value) {
        fields.add("float " + name);
        buffer.putFloat(value);
        return this;
    }

    int op() {
        return op;
    }

    /** Type and name of each field, as C declares it. */
    List<String> fields() {
        return List.copyOf(fields);
    }

    /** The struct's bytes. */
    ByteBuffer bytes() {
        buffer.putInt(0, buffer.position());
        return buffer.duplicate().order(ByteOrder.LITTLE_ENDIAN).flip();
    }
}
