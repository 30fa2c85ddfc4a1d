package io.talaria.model;

import io.talaria.backend.Shape;
import io.talaria.backend.TensorSource;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;

/**
 * Some experts of a layer's stacked weight: planes of it, in rising order.
 *
 * @param all {@code [E][..][..]}
 * @param held which of its planes
 */
record HeldExperts(TensorSource all, List<Integer> held) implements TensorSource {
    /** All of them need no detour. */
    static TensorSource of(TensorSource all, List<Integer> held) {
        return held.size() == all.shape().planes() ? all : new HeldExperts(all, held);
    }

    @Override
    public String name() {
        return all.name();
    }

    @Override
    public TensorType type() {
        return all.type();
    }

    @Override
    public Shape shape() {
        return Shape.of(held.size(), all.shape().rows(), all.shape().columns());
    }

    @Override
    public void read(long offset, ByteBuffer target) throws IOException {
        long planeBytes = all.type().bytes(all.shape().rows() * all.shape().columns());
        while (target.hasRemaining()) {
            int plane = held.get(Math.toIntExact(offset / planeBytes));
            long within = offset % planeBytes;
            int length = (int) Math.min(target.remaining(), planeBytes - within);
            GgufSource.readPart(target, length, some -> all.read(plane * planeBytes + within, some));
            offset += length;
        }
    }
}
