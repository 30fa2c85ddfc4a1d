package io.talaria.convert;

import io.talaria.quant.Quant;
import io.talaria.quant.TensorType;
import io.talaria.safetensors.HfFolder;
import io.talaria.safetensors.SafetensorsTensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;

/**
 * Rows of a Hugging Face folder that make one tensor of a GGUF file: those of several parts one behind the other, in
 * the order of GGUF's RoPE.
 *
 * @param parts each with as many rows
 * @param headDim rows of a head whose halves Hugging Face turns against each other, or 0 for a tensor without RoPE
 */
record HfRows(HfFolder folder, List<Part> parts, int columns, int headDim) implements RowSource {
    /** Rows of a tensor from one on. */
    record Part(SafetensorsTensor tensor, long firstRow, long rows) {}

    @Override
    public long rows() {
        return parts.size() * parts.getFirst().rows();
    }

    @Override
    public void read(long row, int count, float[] target) throws IOException {
        int step = headDim > 0 ? 1 : count;
        for (int done = 0; done < count; ) {
            long at = row + done;
            long within = at % parts.getFirst().rows();
            Part part = parts.get((int) (at / parts.getFirst().rows()));
            int rows = (int) Math.min(Math.min(step, count - done), part.rows() - within);
            long source = part.firstRow() + (headDim > 0 ? splitHalf(within) : within);
            read(part.tensor(), source, rows, target, done);
            done += rows;
        }
    }

    /**
     * GGUF turns rows 2 i and 2 i + 1 of a head as a pair, Hugging Face row i of the first half with row i of the second:
     * where the row that GGUF has in this place lies.
     */
    private long splitHalf(long row) {
        long head = row / headDim;
        long place = row % headDim;
        return head * headDim + place % 2 * (headDim / 2) + place / 2;
    }

    private void read(SafetensorsTensor tensor, long row, int rows, float[] target, int targetRow) throws IOException {
        TensorType type = tensor.type();
        ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(type.bytes((long) rows * columns)));
        folder.read(tensor, type.bytes(row * columns), bytes);
        Quant.decode(type, bytes.array(), 0, target, targetRow * columns, rows * columns);
    }
}
