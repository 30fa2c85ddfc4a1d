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
            readPart(target, length, some -> file.read(part, within, some));
            offset += length;
        }
    }

    /** What fills a buffer up to its limit. */
    @FunctionalInterface
    interface Filler {
        void fill(ByteBuffer target) throws IOException;
    }

    /**
     * Has the next bytes of a buffer filled, and leaves it behind them. The buffer itself is lent and no slice of it: where a
     * slice went from one source to the next, the compiler of OpenJDK 25.0.3 was seen to lose it (a NullPointerException at a
     * buffer that had just been read into, in some loads after many others; none with -XX:-DoEscapeAnalysis).
     */
    static void readPart(ByteBuffer target, int length, Filler filler) throws IOException {
        int begin = target.position();
        int limit = target.limit();
        filler.fill(target.limit(begin + length));
        target.limit(limit).position(begin + length);
    }
}
