package io.talaria.backend.opencl;

import io.talaria.quant.TensorType;

/**
 * Where the planes of fields lie in a matrix on the device, as {@code kernels/gpu/weights.h} says.
 *
 * @param second the second plane, in bytes from the first; and so on
 * @param rowBytes from one row of plain numbers to the next
 * @param bytes of a matrix
 */
record WeightLayout(long second, long third, long fourth, long rowBytes, long bytes) {
    static WeightLayout of(TensorType type, long rows, long columns) {
        long values = rows * columns;
        return switch (type) {
            case Q4_0 -> planes(values / 2, 0, 0, values / 32 * 2);
            case Q8_0 -> planes(values, 0, 0, values / 32 * 2);
            case Q4_K -> planes(values / 2, 0, 0, values / 256 * 16);
            case Q5_K -> planes(values / 2, values / 8, 0, values / 256 * 16);
            case Q6_K -> planes(values / 2, values / 4, values / 16, values / 256 * 2);
            default -> {
                long rowBytes = roundUp(columns * type.bytes(1), 16);
                yield new WeightLayout(0, 0, 0, rowBytes, roundUp(rows * rowBytes, 256));
            }
        };
    }

    /** The last plane follows the ones before it; those in the middle may be missing. */
    private static WeightLayout planes(long first, long middle, long later, long last) {
        long third = middle == 0 ? 0 : first + middle;
        long fourth = later == 0 ? 0 : third + later;
        return new WeightLayout(first, third, fourth, 0, roundUp(first + middle + later + last, 256));
    }

    static long roundUp(long value, long unit) {
        return (value + unit - 1) / unit * unit;
    }
}
