package io.talaria.quant;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The types without blocks: little-endian numbers, one after the other. F64 and the integers are converted to the
 * nearest float32. BF16 is the upper 16 bits of a float32.
 */
final class PlainNumbers {
    private PlainNumbers() {}

    static void decode(TensorType type, byte[] source, int at, float[] target, int targetAt, int elements) {
        ByteBuffer bytes = ByteBuffer.wrap(source).order(ByteOrder.LITTLE_ENDIAN);
        switch (type) {
            case F32 -> bytes.position(at).asFloatBuffer().get(target, targetAt, elements);
            case F16 -> {
                for (int i = 0; i < elements; i++) {
                    target[targetAt + i] = Halves.get(source, at + 2 * i);
                }
            }
            case BF16 -> {
                for (int i = 0; i < elements; i++) {
                    target[targetAt + i] = Float.intBitsToFloat(bytes.getShort(at + 2 * i) << 16);
                }
            }
            case F64 -> {
                for (int i = 0; i < elements; i++) {
                    target[targetAt + i] = (float) bytes.getDouble(at + 8 * i);
                }
            }
            case I8 -> {
                for (int i = 0; i < elements; i++) {
                    target[targetAt + i] = source[at + i];
                }
            }
            case I16 -> {
                for (int i = 0; i < elements; i++) {
                    target[targetAt + i] = bytes.getShort(at + 2 * i);
                }
            }
            case I32 -> {
                for (int i = 0; i < elements; i++) {
                    target[targetAt + i] = bytes.getInt(at + 4 * i);
                }
            }
            case I64 -> {
                for (int i = 0; i < elements; i++) {
                    target[targetAt + i] = bytes.getLong(at + 8 * i);
                }
            }
            default -> throw new IllegalArgumentException(type + " is not a plain number type");
        }
    }

    static void encodeF32(float[] source, int at, byte[] target, int targetAt, int elements) {
        ByteBuffer bytes = ByteBuffer.wrap(target).order(ByteOrder.LITTLE_ENDIAN);
        bytes.position(targetAt).asFloatBuffer().put(source, at, elements);
    }

    /** Rounds to the nearest half, ties to even. */
    static void encodeF16(float[] source, int at, byte[] target, int targetAt, int elements) {
        for (int i = 0; i < elements; i++) {
            Halves.put(target, targetAt + 2 * i, source[at + i]);
        }
    }

    /** Rounds to the nearest bfloat16, ties to even; a NaN stays a NaN of the same sign. */
    static void encodeBf16(float[] source, int at, byte[] target, int targetAt, int elements) {
        for (int i = 0; i < elements; i++) {
            int bits = Float.floatToRawIntBits(source[at + i]);
            // Rounding could carry a NaN's payload away and leave an infinity, so a NaN only gets its quiet bit.
            int upper = Float.isNaN(source[at + i]) ? bits >>> 16 | 0x40 : bits + 0x7FFF + (bits >>> 16 & 1) >>> 16;
            target[targetAt + 2 * i] = (byte) upper;
            target[targetAt + 2 * i + 1] = (byte) (upper >> 8);
        }
    }
}
