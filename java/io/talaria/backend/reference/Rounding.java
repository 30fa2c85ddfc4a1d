package io.talaria.backend.reference;

import io.talaria.backend.Activations;
import io.talaria.quant.Quant;
import io.talaria.quant.TensorType;

/** How a mode rounds what meets a weight, and how a KV cache rounds what it keeps. */
final class Rounding {
    private Rounding() {}

    /**
     * The activations as a weight of this type sees them: rows of {@code columns} values. In int8 mode only quantised
     * weights see rounded ones.
     */
    static double[] activations(double[] x, int rows, int columns, TensorType weight, Activations mode) {
        return switch (mode) {
            case EXACT -> x;
            case HALF -> toHalf(x, rows * columns);
            case INT8, INT8_256 -> weight.quantised() ? toInt8(x, rows, columns, mode.block()) : x;
        };
    }

    private static double[] toHalf(double[] x, int count) {
        double[] rounded = new double[count];
        for (int i = 0; i < count; i++) {
            rounded[i] = half(x[i]);
        }
        return rounded;
    }

    private static double half(double value) {
        return Float.float16ToFloat(Float.floatToFloat16((float) value));
    }

    /** Blocks never cross a row's end: a row's last block may be short. */
    private static double[] toInt8(double[] x, int rows, int columns, int block) {
        double[] rounded = new double[rows * columns];
        for (int row = 0; row < rows; row++) {
            for (int begin = 0; begin < columns; begin += block) {
                int from = row * columns + begin;
                int to = row * columns + Math.min(columns, begin + block);
                float largest = 0;
                for (int i = from; i < to; i++) {
                    largest = Math.max(largest, Math.abs((float) x[i]));
                }
                float scale = largest / 127;
                for (int i = from; i < to; i++) {
                    rounded[i] = scale == 0 ? 0 : scale * Math.rint(x[i] / scale);
                }
            }
        }
        return rounded;
    }

    /** Stores a row of keys or values as the cache's type keeps it. */
    static void store(TensorType type, double[] row, int from, int count, double[] target, int at) {
        if (type == TensorType.F32) {
            System.arraycopy(row, from, target, at, count);
            return;
        }
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) row[from + i];
        }
        byte[] encoded = new byte[Math.toIntExact(type.bytes(count))];
        Quant.encode(type, values, 0, encoded, 0, count);
        Quant.decode(type, encoded, 0, values, 0, count);
        for (int i = 0; i < count; i++) {
            target[at + i] = values[i];
        }
    }
}
