package io.talaria.gguf;

import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Reads the header of one GGUF file, versions 2 and 3, little-endian.
 *
 * <p>The format is described in the file docs/gguf.md of the ggml project: magic, version, number of tensors, number
 * of keys, the keys with their values, the tensors' names, shapes, types and offsets, padding, tensor data.
 */
final class GgufReader {
    private static final byte[] MAGIC = {'G', 'G', 'U', 'F'};

    private final String file;
    private final int shard;
    private final GgufInput in;
    private final long size;

    private GgufReader(String file, ByteSource source, int shard) throws IOException {
        this.file = file;
        this.shard = shard;
        this.size = source.size();
        this.in = new GgufInput(file, source, size);
    }

    /**
     * Reads and checks a header.
     *
     * @param file the file's printable name, for messages
     * @param shard the index that the tensors get
     * @throws GgufException if the file is not an acceptable GGUF file
     */
    static GgufHeader read(String file, ByteSource source, int shard) throws IOException {
        return new GgufReader(file, source, shard).read();
    }

    private GgufHeader read() throws IOException {
        if (size == 0) {
            throw GgufException.of(GgufFault.FILE_EMPTY, file, "the file has no bytes");
        }
        readMagic();
        int version = readVersion();
        int tensorCount = readCount("tensors", GgufLimits.TENSORS, GgufFault.TOO_MANY_TENSORS);
        int keyCount = readCount("keys", GgufLimits.KEYS, GgufFault.TOO_MANY_KEYS);
        GgufMetadata metadata = new GgufMetadata(file, readValues(keyCount));
        long alignment = metadata.alignment();
        List<TensorInfo> infos = readInfos(tensorCount);
        // An overflow is impossible: the header ends below its limit.
        long dataStart = GgufLayout.align(in.position(), alignment);
        return new GgufHeader(file, size, version, metadata, place(infos, dataStart, alignment));
    }

    private void readMagic() throws IOException {
        byte[] found = in.readBytes((int) Math.min(MAGIC.length, size), "the magic");
        for (int i = 0; i < found.length; i++) {
            if (found[i] != MAGIC[i]) {
                throw GgufException.of(GgufFault.BAD_MAGIC, file, describeMagic(found));
            }
        }
        if (found.length < MAGIC.length) {
            throw in.fault(GgufFault.HEADER_TRUNCATED, "the file ends within the magic");
        }
    }

    private static String describeMagic(byte[] found) {
        String text = new String(found, StandardCharsets.ISO_8859_1);
        return switch (text) {
            case "vers" ->
                "this is not a GGUF file but probably the Git LFS pointer to one, which 'git lfs pull' replaces";
            case "lmgg", "fmgg", "tjgg" -> "this is not a GGUF file but one of the older GGML formats";
            default -> "this is not a GGUF file, because its first four bytes are not 'GGUF'";
        };
    }

    private int readVersion() throws IOException {
        int version = in.readInt("the version");
        if (version == 2 || version == 3) {
            return version;
        }
        if (version == 1) {
            throw GgufException.of(GgufFault.VERSION_1, file, "the file has GGUF version 1, which is no longer read");
        }
        int swapped = Integer.reverseBytes(version);
        if (swapped >= 1 && swapped <= 3) {
            throw GgufException.of(GgufFault.BIG_ENDIAN, file, "the file is a big-endian GGUF file");
        }
        throw GgufException.of(
                GgufFault.VERSION_UNSUPPORTED,
                file,
                "the file has the unknown GGUF version " + Integer.toUnsignedString(version));
    }

    private int readCount(String what, int limit, GgufFault fault) throws IOException {
        long count = in.readLong("the number of " + what);
        if (Long.compareUnsigned(count, limit) > 0) {
            throw in.fault(fault, Long.toUnsignedString(count) + " " + what + " are more than the limit of " + limit);
        }
        return (int) count;
    }

    private Map<String, GgufValue> readValues(int count) throws IOException {
        Map<String, GgufValue> values = LinkedHashMap.newLinkedHashMap(Math.min(count, 1_000));
        GgufValueReader valueReader = new GgufValueReader(in);
        for (int i = 0; i < count; i++) {
            in.subject("key", i + 1, count);
            long start = in.position();
            String key = readText("the key", GgufLimits.KEY_BYTES, GgufFault.KEY_LENGTH);
            in.subject("key", key);
            if (values.containsKey(key)) {
                throw in.faultAt(GgufFault.KEY_DUPLICATE, start, "the key is there twice");
            }
            values.put(key, valueReader.read());
        }
        return values;
    }

    private List<TensorInfo> readInfos(int count) throws IOException {
        List<TensorInfo> infos = new ArrayList<>(Math.min(count, 1_000));
        Set<String> names = new HashSet<>();
        for (int i = 0; i < count; i++) {
            in.subject("tensor", i + 1, count);
            long start = in.position();
            String name = readText("the name", GgufLimits.NAME_BYTES, GgufFault.TENSOR_NAME_LENGTH);
            in.subject("tensor", name);
            if (!names.add(name)) {
                throw in.faultAt(GgufFault.TENSOR_DUPLICATE, start, "the tensor is there twice");
            }
            infos.add(readInfo(name));
        }
        return infos;
    }

    private TensorInfo readInfo(String name) throws IOException {
        int dimensions = in.readInt("the number of dimensions");
        if (dimensions < 1 || dimensions > GgufLimits.DIMENSIONS) {
            throw in.fault(
                    GgufFault.TENSOR_DIMENSIONS,
                    "it has " + Integer.toUnsignedString(dimensions) + " dimensions and not 1 to "
                            + GgufLimits.DIMENSIONS);
        }
        List<Long> shape = new ArrayList<>(dimensions);
        for (int i = 0; i < dimensions; i++) {
            shape.add(in.readLong("a dimension"));
        }
        TensorType type = readType();
        long offset = in.readLong("the offset");
        long bytes = GgufLayout.bytes(file, name, type, shape);
        return new TensorInfo(name, type, shape, offset, bytes);
    }

    private TensorType readType() throws IOException {
        int id = in.readInt("the type");
        TensorType type = TensorType.byId(id).orElse(null);
        if (type != null) {
            return type;
        }
        String number = "it has the type " + Integer.toUnsignedString(id);
        // Numbers from the ggml_type enumeration of the ggml project.
        throw switch (id) {
            case 4, 5, 31, 32, 33, 36, 37, 38 ->
                in.fault(GgufFault.TENSOR_TYPE_REMOVED, number + ", which GGUF has removed");
            case 9, 15, 16, 17, 18, 19, 21, 22, 29, 34, 35, 39 ->
                in.fault(GgufFault.TENSOR_TYPE_UNSUPPORTED, number + ", which Talaria does not read");
            default -> in.fault(GgufFault.TENSOR_TYPE_UNKNOWN, number + ", which Talaria does not know");
        };
    }

    private String readText(String what, int limit, GgufFault fault) throws IOException {
        long length = in.readLong("the length");
        if (length == 0 || Long.compareUnsigned(length, limit) > 0) {
            throw in.fault(fault, what + " has " + Long.toUnsignedString(length) + " bytes and not 1 to " + limit);
        }
        byte[] bytes = in.readBytes((int) length, what);
        if (!Utf8.valid(bytes, 0, bytes.length)) {
            throw in.fault(GgufFault.TEXT_NOT_UTF8, what + " is not valid UTF-8");
        }
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private List<GgufTensor> place(List<TensorInfo> infos, long dataStart, long alignment) throws GgufException {
        List<GgufTensor> tensors = new ArrayList<>(infos.size());
        long previousStart = 0;
        long previousEnd = 0;
        for (TensorInfo info : infos) {
            long offset = info.offset();
            if (offset % alignment != 0) {
                throw info.fault(file, GgufFault.TENSOR_OFFSET_UNALIGNED, "is not a multiple of " + alignment);
            }
            if (Long.compareUnsigned(offset, previousStart) < 0) {
                throw info.fault(
                        file, GgufFault.TENSOR_OFFSET_ORDER, "lies before that of the tensor listed before it");
            }
            if (Long.compareUnsigned(offset, previousEnd) < 0) {
                throw info.fault(file, GgufFault.TENSOR_OVERLAP, "lies inside the tensor listed before it");
            }
            long room = size - dataStart;
            if (offset < 0 || info.bytes() > room - offset) {
                String where = "and its " + info.bytes() + " bytes reach behind the end of the data section of "
                        + Math.max(room, 0) + " bytes";
                throw info.fault(file, GgufFault.TENSOR_OUTSIDE_FILE, where);
            }
            previousStart = offset;
            previousEnd = offset + info.bytes();
            tensors.add(info.at(shard, dataStart));
        }
        return List.copyOf(tensors);
    }

    /** A tensor before its place is checked; {@code offset} is unsigned and counts from the data section's start. */
    private record TensorInfo(String name, TensorType type, List<Long> shape, long offset, long bytes) {
        GgufTensor at(int shard, long dataStart) {
            return new GgufTensor(name, type, shape, shard, dataStart + offset, bytes);
        }

        GgufException fault(String file, GgufFault fault, String problem) {
            String subject = "tensor " + Printable.name(name) + ": its offset ";
            return GgufException.of(fault, file, subject + Long.toUnsignedString(offset) + " " + problem);
        }
    }
}
