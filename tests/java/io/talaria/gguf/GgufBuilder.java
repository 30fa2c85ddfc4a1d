package io.talaria.gguf;

import io.talaria.quant.TensorType;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Makes GGUF files, right ones and wrong ones: every field of the format can be overridden. It shares no code with the
 * reader and writer under test.
 */
final class GgufBuilder {
    static final int U8 = 0;
    static final int U32 = 4;
    static final int I32 = 5;
    static final int F32 = 6;
    static final int BOOL = 7;
    static final int STRING = 8;
    static final int ARRAY = 9;
    static final int U64 = 10;

    byte[] magic = {'G', 'G', 'U', 'F'};
    int version = 3;
    Long tensorCount;
    Long keyCount;
    int alignment = 32;
    ByteOrder order = ByteOrder.LITTLE_ENDIAN;
    final List<Key> keys = new ArrayList<>();
    final List<Tensor> tensors = new ArrayList<>();

    private Integer length;
    private int cut;
    private byte[] raw;

    /** A key with its value; {@code nameLength} overrides the length that is written before the name. */
    static final class Key {
        byte[] name;
        Long nameLength;
        int type;
        byte[] payload;

        Key set(int newType, byte[]... parts) {
            type = newType;
            payload = join(parts);
            return this;
        }
    }

    /** A tensor; {@code bytes} is the room that its data takes in the file, whatever shape and type say. */
    static final class Tensor {
        byte[] name;
        Long nameLength;
        Integer dimensions;
        long[] shape;
        int type;
        Long offset;
        int bytes;

        Tensor shape(long... newShape) {
            shape = newShape;
            return this;
        }

        Tensor type(int newType) {
            type = newType;
            return this;
        }
    }

    /** A small valid file with every kind of value and three tensors: "a" F32 64x2, "b" Q4_0 64x2, "c" F16 16. */
    static GgufBuilder small() {
        GgufBuilder builder = new GgufBuilder();
        builder.key("general.architecture", STRING, text("llama"));
        builder.key("test.count", U32, u32(7));
        builder.key("test.flag", BOOL, u8(1));
        builder.key("test.tokens", ARRAY, u32(STRING), u64(3), text("<s>"), text("na\u00efve"), text(""));
        builder.key("test.scores", ARRAY, u32(F32), u64(3), f32(0.5f), f32(-1), f32(0));
        builder.key("test.types", ARRAY, u32(I32), u64(3), u32(3), u32(1), u32(1));
        builder.key("test.large", U64, u64(1L << 40));
        builder.tensor("a", TensorType.F32, 64, 2);
        builder.tensor("b", TensorType.Q4_0, 64, 2);
        builder.tensor("c", TensorType.F16, 16);
        return builder;
    }

    GgufBuilder key(String name, int type, byte[]... payload) {
        Key key = new Key();
        key.name = name.getBytes(StandardCharsets.UTF_8);
        keys.add(key.set(type, payload));
        return this;
    }

    GgufBuilder tensor(String name, TensorType type, long... shape) {
        Tensor tensor = new Tensor();
        tensor.name = name.getBytes(StandardCharsets.UTF_8);
        tensor.type = type.id();
        tensor.shape = shape;
        tensor.bytes = Math.toIntExact(type.bytes(Arrays.stream(shape).reduce(1, Math::multiplyExact)));
        tensors.add(tensor);
        return this;
    }

    /** The key with this name, to change it. */
    Key key(String name) {
        byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
        return keys.stream()
                .filter(key -> Arrays.equals(key.name, bytes))
                .findFirst()
                .orElseThrow();
    }

    /** The file keeps only its first {@code bytes} bytes. */
    void keep(int bytes) {
        length = bytes;
    }

    /** The file loses its last {@code bytes} bytes. */
    void cut(int bytes) {
        cut = bytes;
    }

    /** The whole file, whatever else is set. */
    void raw(byte[] bytes) {
        raw = bytes;
    }

    /** The header alone, with the padding behind it. */
    byte[] header() {
        Bytes out = new Bytes(order);
        out.put(magic).putInt(version);
        out.putLong(tensorCount == null ? tensors.size() : tensorCount);
        out.putLong(keyCount == null ? keys.size() : keyCount);
        for (Key key : keys) {
            out.putLong(key.nameLength == null ? key.name.length : key.nameLength);
            out.put(key.name).putInt(key.type).put(key.payload);
        }
        long offset = 0;
        for (Tensor tensor : tensors) {
            out.putLong(tensor.nameLength == null ? tensor.name.length : tensor.nameLength);
            out.put(tensor.name).putInt(tensor.dimensions == null ? tensor.shape.length : tensor.dimensions);
            for (long dimension : tensor.shape) {
                out.putLong(dimension);
            }
            out.putInt(tensor.type).putLong(tensor.offset == null ? offset : tensor.offset);
            offset = align(offset + tensor.bytes);
        }
        out.put(new byte[(int) (align(out.size()) - out.size())]);
        return out.toByteArray();
    }

    byte[] build() {
        if (raw != null) {
            return raw;
        }
        byte[] header = header();
        long end = 0;
        for (Tensor tensor : tensors) {
            end = align(end) + tensor.bytes;
        }
        byte[] file = Arrays.copyOf(header, Math.toIntExact(header.length + end));
        int data = header.length;
        for (Tensor tensor : tensors) {
            for (int i = 0; i < tensor.bytes; i++) {
                file[data + i] = (byte) (i * 31 + (i >> 8) + 1);
            }
            data += (int) align(tensor.bytes);
        }
        return Arrays.copyOf(file, (length == null ? file.length : length) - cut);
    }

    private long align(long position) {
        return (position + alignment - 1) / alignment * alignment;
    }

    static byte[] u8(int value) {
        return new byte[] {(byte) value};
    }

    static byte[] u32(long value) {
        return little(4).putInt((int) value).array();
    }

    static byte[] u64(long value) {
        return little(8).putLong(value).array();
    }

    static byte[] f32(float value) {
        return little(4).putFloat(value).array();
    }

    static byte[] text(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        return text(bytes.length, bytes);
    }

    /** Text behind a length that may be wrong. */
    static byte[] text(long length, byte... bytes) {
        return join(u64(length), bytes);
    }

    static byte[] join(byte[]... parts) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            out.writeBytes(part);
        }
        return out.toByteArray();
    }

    /** The part again and again. */
    static byte[] repeat(byte[] part, int times) {
        byte[][] parts = new byte[times][];
        Arrays.fill(parts, part);
        return join(parts);
    }

    private static ByteBuffer little(int bytes) {
        return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static final class Bytes extends ByteArrayOutputStream {
        private final ByteOrder order;

        Bytes(ByteOrder order) {
            super(1024);
            this.order = order;
        }

        Bytes put(byte[] bytes) {
            writeBytes(bytes);
            return this;
        }

        Bytes putInt(int value) {
            return put(ByteBuffer.allocate(4).order(order).putInt(value).array());
        }

        Bytes putLong(long value) {
            return put(ByteBuffer.allocate(8).order(order).putLong(value).array());
        }
    }
}
