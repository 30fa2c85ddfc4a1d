package io.talaria.validate;

import io.talaria.backend.Shape;
import io.talaria.backend.TensorSource;
import io.talaria.quant.Quant;
import io.talaria.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.SplittableRandom;

/** A weight of any format that validation makes up. */
record MadeWeight(String name, TensorType type, Shape shape, byte[] bytes) implements TensorSource {
    /** One block in so many is larger than the others, by so much. */
    private static final int OUTLIER_EVERY = 61;

    private static final double OUTLIER = 8;

    @Override
    public void read(long offset, ByteBuffer target) {
        target.put(bytes, Math.toIntExact(offset), target.remaining());
    }

    /** These values as F32. */
    static MadeWeight of(String name, Shape shape, float... values) {
        byte[] bytes = new byte[values.length * Float.BYTES];
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().put(values);
        return new MadeWeight(name, TensorType.F32, shape, bytes);
    }

    /** A norm: values around 1, the last one large. */
    static MadeWeight norm(int columns, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[columns];
        for (int i = 0; i < columns; i++) {
            values[i] = (float) random.nextDouble(0.5, 1.5);
        }
        values[columns - 1] = 4;
        return of("norm", Shape.of(columns), values);
    }

    /**
     * Random values with outliers, of a size that keeps sums over a row near 1. Of a quantised format every bit is random
     * but those of the blocks' float16 scales, so every scale and every quant occurs.
     */
    static MadeWeight random(String name, TensorType type, Shape shape, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        byte[] bytes = new byte[Math.toIntExact(type.bytes(shape.elements()))];
        random.nextBytes(bytes);
        ByteBuffer blocks = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        double size = 1 / Math.sqrt(shape.columns());
        for (int at = 0, block = 0; at < bytes.length; at += type.blockBytes(), block++) {
            double scale = size * (block % OUTLIER_EVERY == OUTLIER_EVERY / 2 ? OUTLIER : random.nextDouble(0.5, 1.5));
            scale(blocks, at, type, random.nextBoolean() ? scale : -scale, random);
        }
        return new MadeWeight(name, type, shape, bytes);
    }

    /** Sets a block's scales so that its values have this root mean square, or draws the value of an unquantised one. */
    private static void scale(ByteBuffer blocks, int at, TensorType type, double size, SplittableRandom random) {
        switch (type) {
            case F32 -> blocks.putFloat(at, (float) (size * random.nextGaussian()));
            case F16 -> half(blocks, at, size * random.nextGaussian());
            case BF16 ->
                blocks.putShort(at, (short) (Float.floatToRawIntBits((float) (size * random.nextGaussian())) >>> 16));
            case Q4_0 -> half(blocks, at, size / 4.6);
            case Q8_0 -> half(blocks, at, size / 74);
            // d * scale * quant - dmin * minimum; dmin is d times the mean quant, so that the mean is near zero.
            case Q4_K -> {
                half(blocks, at, size / 400);
                half(blocks, at + 2, size / 400 * 7.5);
            }
            case Q5_K -> {
                half(blocks, at, size / 800);
                half(blocks, at + 2, size / 800 * 15.5);
            }
            case Q6_K -> half(blocks, at + 208, size / 1370);
            default -> throw new IllegalArgumentException(type + " weights are not validated");
        }
    }

    private static void half(ByteBuffer blocks, int at, double value) {
        blocks.putShort(at, Float.floatToFloat16((float) value));
    }

    /** The same with a row overwritten by another, so that whatever meets the two ties. */
    MadeWeight withTie(int row, int copy) {
        int rowBytes = Math.toIntExact(type.bytes(shape.columns()));
        byte[] tied = bytes.clone();
        System.arraycopy(bytes, row * rowBytes, tied, copy * rowBytes, rowBytes);
        return new MadeWeight(name, type, shape, tied);
    }

    float[] decoded() {
        int elements = Math.toIntExact(shape.elements());
        float[] values = new float[elements];
        Quant.decode(type, bytes, 0, values, 0, elements);
        return values;
    }
}
