package io.talaria.model;

import io.talaria.backend.Shape;
import io.talaria.backend.TensorSource;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * A range of the rows or of the columns of every expert in a layer's stacked weight: pieces of one length that lie at equal
 * distances in it.
 *
 * @param all {@code [E][..][..]}
 * @param shape {@code [E][..][..]}, of the range
 * @param start bytes before the first piece
 * @param stride bytes from one piece to the next
 * @param length bytes of a piece
 */
record ExpertRange(TensorSource all, Shape shape, long start, long stride, long length) implements TensorSource {
    /** {@code [E][count][..]}; all of them need no detour. */
    static TensorSource rows(TensorSource all, int first, int count) {
        Shape shape = all.shape();
        if (count == shape.rows()) {
            return all;
        }
        long row = all.type().bytes(shape.columns());
        Shape range = Shape.of(shape.planes(), count, shape.columns());
        return new ExpertRange(all, range, first * row, shape.rows() * row, count * row);
    }

    /** {@code [E][..][count]}; both numbers are of whole blocks. */
    static TensorSource columns(TensorSource all, int first, int count) {
        Shape shape = all.shape();
        if (count == shape.columns()) {
            return all;
        }
        TensorType type = all.type();
        Shape range = Shape.of(shape.planes(), shape.rows(), count);
        return new ExpertRange(all, range, type.bytes(first), type.bytes(shape.columns()), type.bytes(count));
    }

    @Override
    public String name() {
        return all.name();
    }

    @Override
    public TensorType type() {
        return all.type();
    }

    /**
     * Columns are short pieces, some kilobytes each. So as many of them as fit into the target are read at once with what
     * lies between, and moved together, until it is full: of the file that is once more than what lies between.
     */
    @Override
    public void read(long offset, ByteBuffer target) throws IOException {
        while (target.hasRemaining()) {
            int at = target.position();
            long position = start + offset / length * stride;
            long within = offset % length;
            int pieces = within > 0 ? 0 : (int) ((target.remaining() + stride - length) / stride);
            int done;
            if (pieces < 2) {
                done = (int) Math.min(target.remaining(), length - within);
                GgufSource.readPart(target, done, some -> all.read(position + within, some));
            } else {
                done = pieces * (int) length;
                GgufSource.readPart(target, (int) ((pieces - 1) * stride + length), some -> all.read(position, some));
                for (int i = 1; i < pieces; i++) {
                    target.put(at + i * (int) length, target, at + i * (int) stride, (int) length);
                }
                target.position(at + done);
            }
            offset += done;
        }
    }
}
