package io.talaria.gguf;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Java values as the bytes of GGUF metadata values. */
final class GgufEncoder {
    private GgufEncoder() {}

    /** An integer of an integer type; a uint64 above the largest long is given as a negative number. */
    static GgufValue integer(GgufValueType type, long value) {
        if (!type.integer()) {
            throw new IllegalArgumentException(type + " is not an integer type");
        }
        ByteBuffer out = allocate(type.bytes());
        putInteger(out, type, value);
        return GgufValue.scalar(type, out.array());
    }

    /** A float32, float64, bool or string. */
    static GgufValue scalar(GgufValueType type, Object value) {
        if (type == GgufValueType.STRING) {
            return GgufValue.scalar(type, utf8(as(String.class, type, value)));
        }
        ByteBuffer out = allocate(type.bytes());
        putElement(out, type, value);
        return GgufValue.scalar(type, out.array());
    }

    static GgufValue floats(float[] numbers) {
        ByteBuffer out = allocate(Math.multiplyExact(numbers.length, Float.BYTES));
        out.asFloatBuffer().put(numbers);
        return GgufValue.array(GgufValueType.FLOAT32, numbers.length, out.array());
    }

    static GgufValue ints(int[] numbers) {
        ByteBuffer out = allocate(Math.multiplyExact(numbers.length, Integer.BYTES));
        out.asIntBuffer().put(numbers);
        return GgufValue.array(GgufValueType.INT32, numbers.length, out.array());
    }

    static GgufValue array(GgufValueType elementType, List<?> elements) {
        if (elementType == GgufValueType.ARRAY) {
            throw new IllegalArgumentException("arrays of arrays are not written");
        }
        if (elementType == GgufValueType.STRING) {
            return strings(elements);
        }
        ByteBuffer out = allocate(Math.multiplyExact(elements.size(), elementType.bytes()));
        for (Object element : elements) {
            putElement(out, elementType, element);
        }
        return GgufValue.array(elementType, elements.size(), out.array());
    }

    /** Refuses text with lone surrogates, which has no UTF-8 form. */
    static void requireUnicode(String text) {
        if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
            throw new IllegalArgumentException("the text " + Printable.name(text) + " has a lone surrogate");
        }
    }

    private static GgufValue strings(List<?> elements) {
        byte[][] texts = new byte[elements.size()][];
        int[] ends = new int[elements.size()];
        int end = 0;
        for (int i = 0; i < texts.length; i++) {
            texts[i] = utf8(as(String.class, GgufValueType.STRING, elements.get(i)));
            end = Math.addExact(end, Math.addExact(Long.BYTES, texts[i].length));
            ends[i] = end;
        }
        ByteBuffer out = allocate(end);
        for (byte[] text : texts) {
            out.putLong(text.length).put(text);
        }
        return GgufValue.strings(out.array(), ends);
    }

    private static byte[] utf8(String text) {
        requireUnicode(text);
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static void putElement(ByteBuffer out, GgufValueType type, Object value) {
        switch (type) {
            case BOOL -> out.put((byte) (as(Boolean.class, type, value) ? 1 : 0));
            case FLOAT32 -> out.putFloat(as(Float.class, type, value));
            case FLOAT64 -> out.putDouble(as(Double.class, type, value));
            default -> putInteger(out, type, exactInteger(type, value));
        }
    }

    private static long exactInteger(GgufValueType type, Object value) {
        try {
            BigInteger exact = new BigDecimal(as(Number.class, type, value).toString()).toBigIntegerExact();
            if (type == GgufValueType.UINT64 && exact.signum() >= 0 && exact.bitLength() <= Long.SIZE) {
                return exact.longValue();
            }
            long number = exact.longValueExact();
            if (type != GgufValueType.UINT64) {
                return number;
            }
        } catch (ArithmeticException | NumberFormatException e) {
            throw new IllegalArgumentException(value + " is not a value of the type " + type, e);
        }
        throw new IllegalArgumentException(value + " is not a value of the type " + type);
    }

    private static void putInteger(ByteBuffer out, GgufValueType type, long value) {
        int bits = type.bytes() * Byte.SIZE;
        long lowest = type.unsigned() ? 0 : -1L << (bits - 1);
        long highest = type.unsigned() ? (1L << (bits % Long.SIZE)) - 1 : ~lowest;
        if (type != GgufValueType.UINT64 && (value < lowest || value > highest)) {
            throw new IllegalArgumentException(value + " is not a value of the type " + type);
        }
        for (int i = 0; i < type.bytes(); i++) {
            out.put((byte) (value >> (i * Byte.SIZE)));
        }
    }

    private static <T> T as(Class<T> wanted, GgufValueType type, Object value) {
        if (!wanted.isInstance(value)) {
            throw new IllegalArgumentException(value + " is not a value of the type " + type);
        }
        return wanted.cast(value);
    }

    private static ByteBuffer allocate(int bytes) {
        return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
