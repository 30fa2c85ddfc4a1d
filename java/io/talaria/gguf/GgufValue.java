package io.talaria.gguf;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.AbstractList;
import java.util.List;
import java.util.Objects;
import java.util.RandomAccess;

/**
 * A metadata value, kept as the bytes that it has in the file and decoded when asked for, so that a tokenizer's arrays
 * take little more memory than in the file.
 */
final class GgufValue {
    private final GgufValueType type;
    private final GgufValueType elementType;
    private final int count;
    private final byte[] bytes;
    private final int[] ends;

    private GgufValue(GgufValueType type, GgufValueType elementType, int count, byte[] bytes, int[] ends) {
        this.type = type;
        this.elementType = elementType;
        this.count = count;
        this.bytes = bytes;
        this.ends = ends;
    }

    /** A number, a bool or a string without its length; {@code bytes} must be checked and is kept. */
    static GgufValue scalar(GgufValueType type, byte[] bytes) {
        return new GgufValue(type, null, 1, bytes, null);
    }

    /** An array of numbers or bools, little-endian; {@code bytes} must be checked and is kept. */
    static GgufValue array(GgufValueType elementType, int count, byte[] bytes) {
        return new GgufValue(GgufValueType.ARRAY, elementType, count, bytes, null);
    }

    /**
     * An array of strings.
     *
     * @param bytes the array as in the file, each string behind its length of 8 bytes; must be checked and is kept
     * @param ends for each string, where in {@code bytes} it ends
     */
    static GgufValue strings(byte[] bytes, int[] ends) {
        return new GgufValue(GgufValueType.ARRAY, GgufValueType.STRING, ends.length, bytes, ends);
    }

    GgufValueType type() {
        return type;
    }

    /** The type of an array's elements; null for other values. */
    GgufValueType elementType() {
        return elementType;
    }

    /** An array's elements; 1 for other values. */
    int count() {
        return count;
    }

    /** The bytes as in the file, without the counts before a string or an array. Not to be changed. */
    byte[] bytes() {
        return bytes;
    }

    /** The type in words, such as "uint32" or "array of string". */
    String describe() {
        return type == GgufValueType.ARRAY ? "array of " + elementType : type.toString();
    }

    /** The value as a Java object; arrays become unmodifiable lists that decode on access. */
    Object decode() {
        return type == GgufValueType.ARRAY ? list(elementType, Object.class) : element(type, 0);
    }

    /** The strings of an array of strings, each decoded on access. */
    List<String> strings() {
        return list(GgufValueType.STRING, String.class);
    }

    float[] floats() {
        float[] floats = new float[count];
        little().asFloatBuffer().get(floats);
        return floats;
    }

    int[] ints() {
        int[] ints = new int[count];
        little().asIntBuffer().get(ints);
        return ints;
    }

    /** An integer of any integer type; an uint64 above the largest long comes out negative. */
    long integer() {
        return integer(type, 0);
    }

    private <T> List<T> list(GgufValueType element, Class<T> as) {
        return new Elements<>(count, i -> as.cast(element(element, i)));
    }

    private Object element(GgufValueType of, int index) {
        return switch (of) {
            case STRING -> string(index);
            case BOOL -> bytes[index] != 0;
            case FLOAT32 -> little().getFloat(index * Float.BYTES);
            case FLOAT64 -> little().getDouble(index * Double.BYTES);
            case UINT64 -> unsigned(integer(of, index));
            default -> integer(of, index);
        };
    }

    private String string(int index) {
        if (ends == null) {
            return new String(bytes, StandardCharsets.UTF_8);
        }
        int from = (index == 0 ? 0 : ends[index - 1]) + Long.BYTES;
        return new String(bytes, from, ends[index] - from, StandardCharsets.UTF_8);
    }

    private long integer(GgufValueType of, int index) {
        ByteBuffer buffer = little();
        int at = index * of.bytes();
        return switch (of) {
            case UINT8 -> buffer.get(at) & 0xFFL;
            case INT8 -> buffer.get(at);
            case UINT16 -> buffer.getShort(at) & 0xFFFFL;
            case INT16 -> buffer.getShort(at);
            case UINT32 -> buffer.getInt(at) & 0xFFFF_FFFFL;
            case INT32 -> buffer.getInt(at);
            case UINT64, INT64 -> buffer.getLong(at);
            default -> throw new IllegalStateException(of + " is not an integer type");
        };
    }

    private static Object unsigned(long value) {
        return value >= 0 ? (Object) value : new BigInteger(Long.toUnsignedString(value));
    }

    private ByteBuffer little() {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private interface Decoder<T> {
        T at(int index);
    }

    private static final class Elements<T> extends AbstractList<T> implements RandomAccess {
        private final int count;
        private final Decoder<T> decoder;

        Elements(int count, Decoder<T> decoder) {
            this.count = count;
            this.decoder = decoder;
        }

        @Override
        public T get(int index) {
            return decoder.at(Objects.checkIndex(index, count));
        }

        @Override
        public int size() {
            return count;
        }
    }
}
