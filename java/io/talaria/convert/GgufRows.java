package io.talaria.convert;

import io.talaria.gguf.GgufFile;
import io.talaria.gguf.GgufTensor;
import io.talaria.quant.Quant;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;

/**
 * Rows of a GGUF file that make one tensor of another: those of several parts, all of one shape, one behind the other.
 */
record GgufRows(GgufFile file, List<GgufTensor> parts) implements RowSource {
    @Override
    public long rows() {
        return parts.size() * parts.getFirst().rows();
    }

    @Override
    public int columns() {
        return Math.toIntExact(parts.getFirst().columns());
    }

    @Override
    public void read(long row, int count, float[] target) throws IOException {
        long each = parts.getFirst().rows();
        for (int done = 0; done < count; ) {
            long within = (row + done) % each;
            GgufTensor part = parts.get((int) ((row + done) / each));
            int rows = (int) Math.min(count - done, each - within);
            TensorType type = part.type();
            ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(type.bytes((long) rows * columns())));
            file.read(part, type.bytes(within * columns()), bytes);
            Quant.decode(type, bytes.array(), 0, target, done * columns(), rows * columns());
            done += rows;
        }
    }

    /** True if every part has this type, so that its bytes can be taken as they are. */
    boolean all(TensorType type) {
        return parts.stream().allMatch(part -> part.type() == type);
    }
}
