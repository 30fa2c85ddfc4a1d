package io.talaria.backend.jni;

import io.talaria.backend.Batch;
import io.talaria.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.random.RandomGenerator;

/** The tensors of a model so small that a run takes microseconds, and the ops and batches that fit them. */
enum HostileTensor {
    X(Native.TALARIA_ACTIVATION, TensorType.F32, 1, 1, 4, 32),
    H(Native.TALARIA_ACTIVATION, TensorType.F32, 1, 1, 4, 32),
    Q(Native.TALARIA_ACTIVATION, TensorType.F32, 1, 1, 4, 32),
    ATTENDED(Native.TALARIA_ACTIVATION, TensorType.F32, 1, 1, 4, 32),
    ROUTING(Native.TALARIA_ACTIVATION, TensorType.I32, 1, 1, 4, 4),
    SLOTS(Native.TALARIA_ACTIVATION, TensorType.F32, 1, 4, 2, 32),
    MAP(Native.TALARIA_ACTIVATION, TensorType.I32, 1, 1, 1, 4),
    TOP(Native.TALARIA_ACTIVATION, TensorType.I32, 1, 1, 4, 12),
    LOGITS(Native.TALARIA_ACTIVATION, TensorType.F32, 1, 1, 4, 40),
    NORM(Native.TALARIA_WEIGHT, TensorType.F32, 1, 1, 1, 32),
    SQUARE(Native.TALARIA_WEIGHT, TensorType.Q8_0, 1, 1, 32, 32),
    TABLE(Native.TALARIA_WEIGHT, TensorType.Q4_0, 1, 1, 40, 32),
    ROUTER(Native.TALARIA_WEIGHT, TensorType.F16, 1, 1, 4, 32),
    EXPERTS(Native.TALARIA_WEIGHT, TensorType.BF16, 1, 2, 32, 32),
    KEYS(Native.TALARIA_KV, TensorType.Q8_0, 2, 4, 4, 32),
    VALUES(Native.TALARIA_KV, TensorType.Q8_0, 2, 4, 4, 32);

    static final int DESC_BYTES = 112;
    static final int MOST_BYTES = 8192;

    private final int kind;
    private final TensorType type;
    private final long[] shape;

    HostileTensor(int kind, TensorType type, long... shape) {
        this.kind = kind;
        this.type = type;
        this.shape = shape;
    }

    int bytes() {
        return Math.toIntExact(type.bytes(shape[0] * shape[1] * shape[2] * shape[3]));
    }

    boolean writable() {
        return kind != Native.TALARIA_KV;
    }

    ByteBuffer describe() {
        ByteBuffer desc = ByteBuffer.allocateDirect(DESC_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        desc.putInt(0, DESC_BYTES).putInt(4, kind).putInt(8, type.id());
        for (int i = 0; i < shape.length; i++) {
            desc.putLong(16 + 8 * i, shape[i]);
        }
        return desc;
    }

    /** Args that fit, of an op by its number. */
    static ByteBuffer args(int op, long[] t, long event) {
        long x = t[X.ordinal()];
        long h = t[H.ordinal()];
        long q = t[Q.ordinal()];
        long attended = t[ATTENDED.ordinal()];
        long routing = t[ROUTING.ordinal()];
        long norm = t[NORM.ordinal()];
        long square = t[SQUARE.ordinal()];
        long keys = t[KEYS.ordinal()];
        long values = t[VALUES.ordinal()];
        long experts = t[EXPERTS.ordinal()];
        OpArgs.Rope rope = new OpArgs.Rope(32, 32, 1e6f, 1e-5f);
        OpArgs args = switch (op) {
            case Native.TALARIA_OP_EMBED -> OpArgs.embed(x, t[TABLE.ordinal()]);
            case Native.TALARIA_OP_ATTENTION_INPUT ->
                OpArgs.attentionInput(q, x, norm, square, square, square, keys, values, 1, rope);
            case Native.TALARIA_OP_ATTENTION -> OpArgs.attention(attended, q, keys, values, 1, 32, 0.2f);
            case Native.TALARIA_OP_ATTENTION_OUTPUT -> OpArgs.attentionOutput(x, attended, square);
            case Native.TALARIA_OP_ROUTE -> OpArgs.route(routing, h, x, norm, t[ROUTER.ordinal()], 1e-5f);
            case Native.TALARIA_OP_EXPERTS ->
                OpArgs.experts(t[SLOTS.ordinal()], h, routing, experts, experts, experts, t[MAP.ordinal()]);
            case Native.TALARIA_OP_ADD_SLOTS -> OpArgs.addSlots(x, t[SLOTS.ordinal()]);
            case Native.TALARIA_OP_TOP_LOGITS ->
                OpArgs.topLogits(t[TOP.ordinal()], x, norm, t[TABLE.ordinal()], t[LOGITS.ordinal()], 3, 1e-5f);
            case Native.TALARIA_OP_COPY -> OpArgs.copy(h, x, 4, 8, 32);
            case Native.TALARIA_OP_ZERO -> OpArgs.zero(attended);
            default -> OpArgs.event(op, event);
        };
        return args.bytes();
    }

    /** A batch that fits the model. */
    static void fill(Batch batch, RandomGenerator random) {
        batch.clear();
        for (int sequence = 0; sequence < 2; sequence++) {
            for (int column = 0; column < 3; column++) {
                batch.setBlock(sequence, column, random.nextInt(4));
            }
        }
        int rows = random.nextInt(1, 5);
        for (int row = 0; row < rows; row++) {
            // Another place within the block for each row, as no two may write the same one.
            batch.addRow(random.nextInt(40), 4 * random.nextInt(3) + row, random.nextInt(2));
            if (random.nextBoolean()) {
                batch.addWanted(row);
                batch.setTarget(random.nextInt(2), random.nextInt(40));
                batch.setMask(new int[] {random.nextInt(), random.nextInt()});
            }
        }
    }
}
