package io.talaria.safetensors;

import io.talaria.gguf.Printable;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/**
 * Reads and checks the header of one safetensors file: eight bytes with its length, then JSON that gives each tensor's
 * type, shape and place in what follows.
 */
final class SafetensorsHeader {
    private static final Map<String, TensorType> TYPES =
            Map.of("F32", TensorType.F32, "F16", TensorType.F16, "BF16", TensorType.BF16);
    private static final String METADATA = "__metadata__";

    private final Path path;
    private final int shard;
    private final long dataStart;
    private final long dataBytes;

    private SafetensorsHeader(Path path, int shard, long dataStart, long dataBytes) {
        this.path = path;
        this.shard = shard;
        this.dataStart = dataStart;
        this.dataBytes = dataBytes;
    }

    /** The tensors of a file, in the order of their places. */
    static List<SafetensorsTensor> read(Path path, InputFile file, int shard) throws IOException {
        if (file.size() < Long.BYTES) {
            throw SafetensorsException.of(
                    SafetensorsFault.TRUNCATED, path, "it has " + file.size() + " bytes, fewer than any header");
        }
        ByteBuffer start = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        file.fill(0, start);
        long length = start.getLong(0);
        if (length < 0 || length > SafetensorsLimits.JSON_BYTES) {
            throw SafetensorsException.of(
                    SafetensorsFault.JSON_TOO_LARGE,
                    path,
                    "its header has " + Long.toUnsignedString(length) + " bytes, more than "
                            + SafetensorsLimits.JSON_BYTES);
        }
        if (length > file.size() - Long.BYTES) {
            throw SafetensorsException.of(
                    SafetensorsFault.TRUNCATED,
                    path,
                    "its header has " + length + " bytes where the file has " + (file.size() - Long.BYTES) + " left");
        }
        ByteBuffer json = ByteBuffer.allocate((int) length);
        file.fill(Long.BYTES, json);
        long dataStart = Long.BYTES + length;
        SafetensorsHeader header = new SafetensorsHeader(path, shard, dataStart, file.size() - dataStart);
        return header.tensors(JsonReader.parse(path, json.array()));
    }

    private List<SafetensorsTensor> tensors(JsonNode json) throws SafetensorsException {
        if (json.size() > SafetensorsLimits.TENSORS) {
            throw SafetensorsException.of(
                    SafetensorsFault.TOO_MANY_TENSORS, path, "it has " + json.size() + " tensors");
        }
        List<SafetensorsTensor> tensors = new ArrayList<>();
        for (Map.Entry<String, JsonNode> entry : json.properties()) {
            if (!entry.getKey().equals(METADATA)) {
                tensors.add(tensor(entry.getKey(), entry.getValue()));
            }
        }
        tensors.sort(Comparator.comparingLong(SafetensorsTensor::position));
        checkPlaces(tensors);
        return tensors;
    }

    private SafetensorsTensor tensor(String name, JsonNode json) throws SafetensorsException {
        JsonNode dtype = json.path("dtype");
        if (!json.isObject() || !dtype.isString()) {
            throw fault(SafetensorsFault.JSON_TYPE, name, "has no type");
        }
        TensorType type = TYPES.get(dtype.asString());
        if (type == null) {
            throw fault(
                    SafetensorsFault.DTYPE_UNSUPPORTED,
                    name,
                    "has the type " + Printable.name(dtype.asString()) + ", where Talaria reads F32, F16 and BF16");
        }
        List<Long> shape = numbers(name, json.path("shape"), "shape", SafetensorsFault.SHAPE_INVALID);
        List<Long> offsets = numbers(name, json.path("data_offsets"), "data_offsets", SafetensorsFault.OFFSETS_INVALID);
        long bytes = bytes(name, type, shape);
        if (offsets.size() != 2) {
            throw fault(SafetensorsFault.OFFSETS_INVALID, name, "has " + offsets.size() + " offsets where two belong");
        }
        long begin = offsets.get(0);
        long end = offsets.get(1);
        if (end > dataBytes) {
            throw fault(
                    SafetensorsFault.TRUNCATED,
                    name,
                    "ends at byte " + end + " of the data, which has " + dataBytes + " bytes");
        }
        if (begin > end || end - begin != bytes) {
            throw fault(
                    SafetensorsFault.OFFSETS_INVALID,
                    name,
                    "lies at " + offsets + ", where its type and shape have " + bytes + " bytes");
        }
        return new SafetensorsTensor(name, type, shape, shard, dataStart + begin, bytes);
    }

    private long bytes(String name, TensorType type, List<Long> shape) throws SafetensorsException {
        if (shape.size() > SafetensorsLimits.DIMENSIONS) {
            throw fault(SafetensorsFault.SHAPE_INVALID, name, "has " + shape.size() + " dimensions");
        }
        try {
            long elements = 1;
            for (long dimension : shape) {
                if (dimension == 0) {
                    throw fault(SafetensorsFault.SHAPE_INVALID, name, "has a dimension of zero");
                }
                elements = Math.multiplyExact(elements, dimension);
            }
            return type.bytes(elements);
        } catch (ArithmeticException e) {
            throw fault(SafetensorsFault.SHAPE_INVALID, name, "has more bytes than a file can have");
        }
    }

    /** A list of whole numbers from 0 on. */
    private List<Long> numbers(String name, JsonNode json, String field, SafetensorsFault kind)
            throws SafetensorsException {
        List<Long> numbers = new ArrayList<>();
        if (!json.isArray()) {
            throw fault(kind, name, "has no list '" + field + "'");
        }
        for (JsonNode number : json) {
            if (!number.isIntegralNumber() || !number.canConvertToLong() || number.asLong() < 0) {
                throw fault(kind, name, "has something else than a count in '" + field + "'");
            }
            numbers.add(number.asLong());
        }
        return numbers;
    }

    /** Tensors must fill the data, one behind the other. */
    private void checkPlaces(List<SafetensorsTensor> tensors) throws SafetensorsException {
        long end = dataStart;
        for (SafetensorsTensor tensor : tensors) {
            if (tensor.position() < end) {
                throw fault(SafetensorsFault.OVERLAP, tensor.name(), "begins inside the tensor before it");
            }
            if (tensor.position() > end) {
                throw fault(
                        SafetensorsFault.GAP,
                        tensor.name(),
                        "has " + (tensor.position() - end) + " bytes before it that belong to no tensor");
            }
            end = tensor.position() + tensor.bytes();
        }
        if (end != dataStart + dataBytes) {
            throw SafetensorsException.of(
                    SafetensorsFault.SURPLUS,
                    path,
                    "it has " + (dataStart + dataBytes - end) + " bytes behind its last tensor");
        }
    }

    private SafetensorsException fault(SafetensorsFault kind, String name, String problem) {
        return SafetensorsException.of(kind, path, "tensor " + Printable.name(name) + " " + problem);
    }
}
