package io.talaria.gguf;

import io.talaria.quant.TensorType;
import java.util.List;

/**
 * Where a tensor lies in a GGUF file.
 *
 * @param name the tensor's name, unique in the model
 * @param type how its elements are stored
 * @param shape one to four dimensions in GGUF order, the fastest first: {@code shape.get(0)} is the number of columns
 * @param shard the index of the file that holds it, 0 unless the model is split
 * @param position where its data begins, in bytes from the start of that file
 * @param bytes the length of its data
 */
public record GgufTensor(String name, TensorType type, List<Long> shape, int shard, long position, long bytes) {
    /** Copies the shape. */
    public GgufTensor {
        shape = List.copyOf(shape);
    }

    /** The product of all dimensions. */
    public long elements() {
        return Math.multiplyExact(rows(), columns());
    }

    /** The product of all dimensions but the first. */
    public long rows() {
        long rows = 1;
        for (long dimension : shape.subList(1, shape.size())) {
            rows = Math.multiplyExact(rows, dimension);
        }
        return rows;
    }

    /** The first dimension: the elements of a row, which lie side by side in the file. */
    public long columns() {
        return shape.get(0);
    }
}
