package io.talaria.backend.reference;

import io.talaria.backend.Activations;
import io.talaria.backend.DeviceException;
import io.talaria.quant.Quant;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.stream.IntStream;

/** What the verbs share: norms, softmax, and the product with a weight of any type. */
final class Maths {
    /** Bytes of weights that one task reads and decodes at a time. */
    private static final int TASK_BYTES = 1 << 17;

    private Maths() {}

    /** A whole weight as floats: for norms, and anything else that is small. */
    static float[] decode(ReferenceTensor.Weight weight) {
        int elements = Math.toIntExact(weight.shape().elements());
        float[] values = new float[elements];
        decodeRows(weight, 0, elements, values);
        return values;
    }

    private static void decodeRows(ReferenceTensor.Weight weight, long firstElement, int elements, float[] target) {
        TensorType type = weight.type();
        byte[] encoded = new byte[Math.toIntExact(type.bytes(elements))];
        try {
            weight.source().read(type.bytes(firstElement), ByteBuffer.wrap(encoded));
        } catch (IOException e) {
            throw new DeviceException(DeviceException.Kind.INVALID, e.getMessage(), e);
        }
        Quant.decode(type, encoded, 0, target, 0, elements);
    }

    /** One row of a weight. */
    static float[] row(ReferenceTensor.Weight weight, long row) {
        int columns = Math.toIntExact(weight.shape().columns());
        float[] values = new float[columns];
        decodeRows(weight, row * columns, columns, values);
        return values;
    }

    /**
     * y[r][o] = w[plane][o] · x[r].
     *
     * @param x {@code [rows][w.columns]}
     * @return {@code [rows][w.rows]}
     */
    static double[] matmul(ReferenceTensor.Weight w, int plane, double[] x, int rows, Activations mode) {
        int columns = Math.toIntExact(w.shape().columns());
        int outputs = Math.toIntExact(w.shape().rows());
        double[] seen = Rounding.activations(x, rows, columns, w.type(), mode);
        double[] y = new double[rows * outputs];
        int perTask = (int) Math.max(1, TASK_BYTES / w.type().bytes(columns));
        // Every output is the work of one task, so the order of tasks cannot change a bit.
        IntStream.range(0, (outputs + perTask - 1) / perTask).parallel().forEach(task -> {
            int first = task * perTask;
            int count = Math.min(perTask, outputs - first);
            float[] weights = new float[count * columns];
            decodeRows(w, ((long) plane * outputs + first) * columns, count * columns, weights);
            for (int o = 0; o < count; o++) {
                for (int r = 0; r < rows; r++) {
                    y[r * outputs + first + o] = dot(weights, o * columns, seen, r * columns, columns);
                }
            }
        });
        return y;
    }

    /** Four sums side by side: exact enough in double precision, and four times as fast as one. */
    private static double dot(float[] a, int aAt, double[] b, int bAt, int n) {
        double s0 = 0;
        double s1 = 0;
        double s2 = 0;
        double s3 = 0;
        int i = 0;
        for (; i + 4 <= n; i += 4) {
            s0 += a[aAt + i] * b[bAt + i];
            s1 += a[aAt + i + 1] * b[bAt + i + 1];
            s2 += a[aAt + i + 2] * b[bAt + i + 2];
            s3 += a[aAt + i + 3] * b[bAt + i + 3];
        }
        for (; i < n; i++) {
            s0 += a[aAt + i] * b[bAt + i];
        }
        return s0 + s1 + (s2 + s3);
    }

    /** n = x / sqrt(mean(x²) + epsilon) * norm, for each of the rows. */
    static double[] rmsNorm(double[] x, int rows, float[] norm, float epsilon) {
        int columns = norm.length;
        double[] n = new double[rows * columns];
        for (int row = 0; row < rows; row++) {
            double squares = 0;
            for (int i = 0; i < columns; i++) {
                squares += x[row * columns + i] * x[row * columns + i];
            }
            double scale = 1 / Math.sqrt(squares / columns + epsilon);
            for (int i = 0; i < columns; i++) {
                n[row * columns + i] = x[row * columns + i] * scale * norm[i];
            }
        }
        return n;
    }

    /** In place, over the first {@code count} values. */
    static void softmax(double[] values, int count) {
        double largest = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < count; i++) {
            largest = Math.max(largest, values[i]);
        }
        double sum = 0;
        for (int i = 0; i < count; i++) {
            values[i] = Math.exp(values[i] - largest);
            sum += values[i];
        }
        for (int i = 0; i < count; i++) {
            values[i] /= sum;
        }
    }

    static double silu(double value) {
        return value / (1 + Math.exp(-value));
    }
}
