package io.talaria.safetensors;

import io.talaria.quant.TensorType;
import java.util.List;

/**
 * Where a tensor lies in a folder.
 *
 * @param name the tensor's name, unique in the folder
 * @param type F32, F16 or BF16
 * @param shape its dimensions, the slowest first; empty for a single number
 * @param shard the index of the file that holds it
 * @param position where its data begins, in bytes from the start of that file
 * @param bytes the length of its data
 */
public record SafetensorsTensor(String name, TensorType type, List<Long> shape, int shard, long position, long bytes) {
    /** Copies the shape. */
    public SafetensorsTensor {
        shape = List.copyOf(shape);
    }
}
