package io.talaria.safetensors;

import io.talaria.quant.TensorType;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Puts a safetensors file together, right or wrong: every field can be changed before it is built. */
public final class SafetensorsBuilder {
    /** A tensor's entry in the header, as text that may be anything. */
    static final class Entry {
        String name;
        String dtype;
        String shape;
        String begin;
        String end;

        String json() {
            return "\"" + name + "\":{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":[" + begin + ","
                    + end + "]}";
        }
    }

    final List<Entry> entries = new ArrayList<>();
    private final ByteArrayOutputStream data = new ByteArrayOutputStream();
    String before = "{\"__metadata__\":{\"format\":\"pt\"}";
    String after = "}";
    Long headerLength;

    /** Adds a tensor of these bytes behind those before. */
    public SafetensorsBuilder tensor(String name, TensorType type, List<Long> shape, byte[] bytes) {
        Entry entry = new Entry();
        entry.name = name;
        entry.dtype = "\"" + type + "\"";
        entry.shape = shape.toString();
        entry.begin = Integer.toString(data.size());
        data.writeBytes(bytes);
        entry.end = Integer.toString(data.size());
        entries.add(entry);
        return this;
    }

    /** A small file with three tensors. */
    static SafetensorsBuilder small() {
        return new SafetensorsBuilder()
                .tensor("a", TensorType.F32, List.of(2L, 3L), new byte[24])
                .tensor("b.weight", TensorType.BF16, List.of(4L), new byte[8])
                .tensor("c", TensorType.F16, List.of(2L, 1L, 5L), new byte[20]);
    }

    /** The file. */
    public byte[] build() {
        StringBuilder header = new StringBuilder(before);
        entries.forEach(entry -> header.append(',').append(entry.json()));
        byte[] json = header.append(after).toString().getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(Long.BYTES + json.length + data.size())
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(headerLength == null ? json.length : headerLength)
                .put(json)
                .put(data.toByteArray())
                .array();
    }
}
