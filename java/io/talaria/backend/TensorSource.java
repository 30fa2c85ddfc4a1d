package io.talaria.backend;

import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Where a weight comes from: its shape, and its bytes in the layout of a GGUF file, by position.
 *
 * <p>Devices copy from it while loading; the reference device reads from it for as long as it is open, so that models
 * larger than memory can be checked.
 */
public interface TensorSource {
    String name();

    TensorType type();

    Shape shape();

    /**
     * Fills {@code target} with the bytes from {@code offset} on.
     *
     * @throws IOException if they cannot be read, in a sentence that names the file
     */
    void read(long offset, ByteBuffer target) throws IOException;
}
