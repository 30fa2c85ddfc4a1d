package io.talaria.backend;

import java.nio.ByteBuffer;

/**
 * A {@link Tensor.Kind#HOST} tensor, as devices of other backends than the one that made it see it. Bytes are little-endian;
 * a range must lie within the tensor.
 */
public interface HostTensor extends Tensor {
    @Override
    default Kind kind() {
        return Kind.HOST;
    }

    /** Copies all of {@code source} into the tensor at a byte offset. */
    void put(long offset, ByteBuffer source);

    /** Fills {@code target} from the tensor at a byte offset. */
    void get(long offset, ByteBuffer target);
}
