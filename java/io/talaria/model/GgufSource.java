package io.talaria.model;

import io.talaria.backend.Shape;
import io.talaria.backend.TensorSource;
import io.talaria.gguf.GgufFile;
import io.talaria.gguf.GgufTensor;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;

/**
 * A weight in a GGUF file: one tensor, or the tensors of a layer's experts one after the other.
 *
 * @param parts all of one type and size
 */
record GgufSource(GgufFile file, String name, TensorType type, Shape shape, List<GgufTensor> parts)
        implements TensorSource {
    GgufSource {
        parts = List.copyOf(parts);
    }

    @Override
    public void read(long offset, ByteBuffer target) throws IOException {
        long partBytes = parts.getFirst().bytes();
        while (target.hasRemaining()) {
            GgufTensor part = parts.get(Math.toIntExact(offset / partBytes));
            long within = offset % partBytes;
            int length = (int) Math.min(target.remaining(), partBytes - within);
            file.read(part, within, target.slice(target.position(), length));
            target.position(target.position() + length);
            offset += length;
        }
    }
}
