package io.talaria.backend.reference;

import io.talaria.backend.DeviceException;
import io.talaria.backend.Shape;
import io.talaria.backend.Tensor;
import io.talaria.backend.TensorSource;
import io.talaria.quant.TensorType;

/** The reference's tensors: weights stay where they come from, everything else is Java arrays. */
sealed interface ReferenceTensor extends Tensor {
    /** A weight, read from its source whenever it is used. */
    final class Weight implements ReferenceTensor {
        private final TensorSource first;
        private TensorSource source;

        Weight(TensorSource source) {
            this.first = source;
            this.source = source;
        }

        TensorSource source() {
            return source;
        }

        /** From now on its values are others. */
        void replace(TensorSource other) {
            source = other;
        }

        @Override
        public String label() {
            return first.name();
        }

        @Override
        public Kind kind() {
            return Kind.WEIGHT;
        }

        @Override
        public TensorType type() {
            return first.type();
        }

        @Override
        public Shape shape() {
            return first.shape();
        }
    }

    /** An F32 activation, kept in double precision. */
    record Floats(String label, Shape shape, double[] values) implements ReferenceTensor {
        @Override
        public Kind kind() {
            return Kind.ACTIVATION;
        }

        @Override
        public TensorType type() {
            return TensorType.F32;
        }

        int columns() {
            return Math.toIntExact(shape.columns());
        }
    }

    /** An I32 activation. */
    record Ints(String label, Shape shape, int[] values) implements ReferenceTensor {
        @Override
        public Kind kind() {
            return Kind.ACTIVATION;
        }

        @Override
        public TensorType type() {
            return TensorType.I32;
        }

        int columns() {
            return Math.toIntExact(shape.columns());
        }
    }

    /**
     * Half of a KV cache: one array per layer and block, made when first written. F32 keeps what is written exactly; F16
     * and Q8_0 round it as those types do.
     */
    record Kv(String label, TensorType type, Shape shape, double[][] blocks) implements ReferenceTensor {
        @Override
        public Kind kind() {
            return Kind.KV;
        }

        int width() {
            return Math.toIntExact(shape.columns());
        }

        /** The array that holds a position, and where in it the position's row begins. */
        double[] block(int layer, int block) {
            int index = Math.toIntExact(layer * shape.planes() + block);
            if (blocks[index] == null) {
                blocks[index] = new double[Math.toIntExact(shape.rows() * shape.columns())];
            }
            return blocks[index];
        }

        int rowAt(int position) {
            return Math.toIntExact(position % shape.rows() * shape.columns());
        }
    }

    static Weight weight(Tensor tensor) {
        return cast(tensor, Weight.class, "a weight");
    }

    static Floats floats(Tensor tensor) {
        return cast(tensor, Floats.class, "an F32 activation");
    }

    static Ints ints(Tensor tensor) {
        return cast(tensor, Ints.class, "an I32 activation");
    }

    static Kv kv(Tensor tensor) {
        return cast(tensor, Kv.class, "a KV tensor");
    }

    private static <T> T cast(Tensor tensor, Class<T> type, String what) {
        if (!type.isInstance(tensor)) {
            throw DeviceException.invalid(
                    "tensor " + (tensor == null ? "null" : tensor.label()) + " is not " + what + " of the reference");
        }
        return type.cast(tensor);
    }
}
