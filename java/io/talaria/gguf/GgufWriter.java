package io.talaria.gguf;

import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Writes a GGUF file, version 3, little-endian: collect metadata and tensors, then {@link #write}.
 *
 * <p>Whatever {@link GgufFile} would refuse in one file is refused here too, because the finished header is given to
 * the reader before anything is written. How shards fit together is not checked. Not thread-safe.
 */
public final class GgufWriter {
    private static final int VERSION = 3;
    private static final String ALIGNMENT_KEY = "general.alignment";
    private static final int COPY_BYTES = 1 << 20;

    private final Map<String, GgufValue> values = new LinkedHashMap<>();
    private final List<Entry> entries = new ArrayList<>();

    /** A tensor's data. It is asked for once, while the file is written. */
    @FunctionalInterface
    public interface TensorData {
        /** Writes the whole data, exactly as many bytes as type and shape say, in the file's encoding. */
        void writeTo(WritableByteChannel channel) throws IOException;

        /** The bytes that the buffer has left now. */
        static TensorData of(ByteBuffer data) {
            ByteBuffer own = data.slice();
            return channel -> channel.write(own.duplicate());
        }

        /** The data of a tensor of an open file, copied in pieces. */
        static TensorData copyOf(GgufFile file, GgufTensor tensor) {
            return channel -> {
                ByteBuffer piece = ByteBuffer.allocate((int) Math.min(COPY_BYTES, tensor.bytes()));
                for (long offset = 0; offset < tensor.bytes(); offset += piece.limit()) {
                    piece.clear().limit((int) Math.min(piece.capacity(), tensor.bytes() - offset));
                    file.read(tensor, offset, piece);
                    channel.write(piece.flip());
                }
            };
        }
    }

    /** The data of all tensors by position, for a file that is never written. Several threads may ask at once. */
    @FunctionalInterface
    public interface PositionedData {
        /** Fills the target's remaining space with a tensor's data from an offset on. */
        void read(String tensor, long offset, ByteBuffer target) throws IOException;
    }

    private record Entry(String name, TensorType type, List<Long> shape, TensorData data) {}

    private record Layout(GgufOutput header, long[] positions, long[] bytes, long end) {}

    /** Aligns the tensor data: sets the key general.alignment, which is otherwise absent and means 32. */
    public GgufWriter alignment(int bytes) {
        return putUint32(ALIGNMENT_KEY, bytes);
    }

    /** Sets a key to an integer of any integer type; a uint64 above the largest long is given as a negative number. */
    public GgufWriter putInteger(String key, GgufValueType type, long value) {
        return put(key, GgufEncoder.integer(type, value));
    }

    /** Sets a key to a number from 0 to 2^32 - 1. */
    public GgufWriter putUint32(String key, long value) {
        return putInteger(key, GgufValueType.UINT32, value);
    }

    /** Sets a key to a float32. */
    public GgufWriter putFloat32(String key, float value) {
        return put(key, GgufEncoder.scalar(GgufValueType.FLOAT32, value));
    }

    /** Sets a key to a float64. */
    public GgufWriter putFloat64(String key, double value) {
        return put(key, GgufEncoder.scalar(GgufValueType.FLOAT64, value));
    }

    /** Sets a key to a bool. */
    public GgufWriter putBool(String key, boolean value) {
        return put(key, GgufEncoder.scalar(GgufValueType.BOOL, value));
    }

    /** Sets a key to a string. */
    public GgufWriter putString(String key, String value) {
        return put(key, GgufEncoder.scalar(GgufValueType.STRING, value));
    }

    /** Sets a key to an array of strings. */
    public GgufWriter putStringArray(String key, List<String> strings) {
        return putArray(key, GgufValueType.STRING, strings);
    }

    /** Sets a key to an array of float32. */
    public GgufWriter putFloat32Array(String key, float[] numbers) {
        return put(key, GgufEncoder.floats(numbers));
    }

    /** Sets a key to an array of int32. */
    public GgufWriter putInt32Array(String key, int[] numbers) {
        return put(key, GgufEncoder.ints(numbers));
    }

    /**
     * Sets a key to an array.
     *
     * @param elements of the types that {@link GgufMetadata#value} returns for this element type; for integers any
     *     {@link Number} that has the value exactly
     * @throws IllegalArgumentException if an element does not fit the type
     */
    public GgufWriter putArray(String key, GgufValueType elementType, List<?> elements) {
        return put(key, GgufEncoder.array(elementType, elements));
    }

    /** Sets all keys of another file, in their order. */
    public GgufWriter putAll(GgufMetadata metadata) {
        values.putAll(metadata.values());
        return this;
    }

    /** Removes a key, if it is there. */
    public GgufWriter remove(String key) {
        values.remove(key);
        return this;
    }

    /**
     * Adds a tensor behind those added before.
     *
     * @param shape in GGUF order, the fastest dimension (columns) first
     */
    public GgufWriter addTensor(String name, TensorType type, List<Long> shape, TensorData data) {
        GgufEncoder.requireUnicode(name);
        entries.add(new Entry(name, type, List.copyOf(shape), data));
        return this;
    }

    /**
     * Writes the file. It is written under a temporary name beside the target, forced to disk and then renamed, so that
     * the target is either complete or as it was before.
     *
     * @throws GgufException if the reader would refuse the file, or if a tensor's data has the wrong length
     * @throws IOException if the file cannot be written; the temporary file is removed
     */
    public void write(Path target) throws IOException {
        String file = Printable.path(target);
        Layout layout = layOut(file);
        ByteBuffer header = layout.header().content();
        GgufReader.read(file, new HeaderSource(header, layout.end()), 0);
        AtomicFile.requireSpace(target, layout.end());
        try (AtomicFile out = AtomicFile.create(target)) {
            out.write(header.duplicate());
            for (int i = 0; i < entries.size(); i++) {
                Entry entry = entries.get(i);
                out.padTo(layout.positions()[i]);
                TensorChannel channel = new TensorChannel(file, entry.name(), layout.bytes()[i], out);
                entry.data().writeTo(channel);
                channel.requireComplete();
            }
            out.padTo(layout.end());
            out.commit();
        }
    }

    /**
     * The file that {@link #write} would write, without writing it: the header is in memory, and tensors' data are asked
     * for when they are read.
     *
     * @param name stands for the path in messages
     * @throws GgufException if the reader would refuse the file
     */
    public GgufFile open(String name, PositionedData data) throws IOException {
        Layout layout = layOut(name);
        TreeMap<Long, MadeUpSource.Place> places = new TreeMap<>();
        for (int i = 0; i < entries.size(); i++) {
            places.put(
                    layout.positions()[i], new MadeUpSource.Place(entries.get(i).name(), layout.bytes()[i]));
        }
        ByteBuffer header = layout.header().content();
        return GgufFile.of(List.of(Path.of(name)), List.of(new MadeUpSource(header, layout.end(), places, data)));
    }

    private GgufWriter put(String key, GgufValue value) {
        GgufEncoder.requireUnicode(key);
        values.put(key, value);
        return this;
    }

    private Layout layOut(String file) throws GgufException {
        long alignment = new GgufMetadata(file, values).alignment();
        long[] positions = new long[entries.size()];
        long[] bytes = new long[entries.size()];
        GgufOutput header = new GgufOutput(file);
        writeKeys(header);
        long offset = 0;
        for (int i = 0; i < entries.size(); i++) {
            Entry entry = entries.get(i);
            bytes[i] = GgufLayout.bytes(file, entry.name(), entry.type(), entry.shape());
            positions[i] = offset;
            writeInfo(header, entry, offset);
            offset = nextOffset(file, entry, offset, bytes[i], alignment);
        }
        header.pad(alignment);
        long dataStart = header.content().remaining();
        for (int i = 0; i < positions.length; i++) {
            positions[i] += dataStart;
        }
        return new Layout(header, positions, bytes, dataStart + offset);
    }

    private static long nextOffset(String file, Entry entry, long offset, long bytes, long alignment)
            throws GgufException {
        try {
            long next = GgufLayout.align(Math.addExact(offset, bytes), alignment);
            // The header comes before all offsets, and their sum must be countable too.
            Math.addExact(next, 2L * GgufLimits.HEADER_BYTES);
            return next;
        } catch (ArithmeticException e) {
            String subject = "tensor " + Printable.name(entry.name());
            throw GgufException.of(GgufFault.TENSOR_TOO_LARGE, file, subject + " ends behind 2^63 bytes", e);
        }
    }

    private void writeKeys(GgufOutput header) throws GgufException {
        header.putBytes(new byte[] {'G', 'G', 'U', 'F'});
        header.putInt(VERSION);
        header.putLong(entries.size());
        header.putLong(values.size());
        for (Map.Entry<String, GgufValue> pair : values.entrySet()) {
            GgufValue value = pair.getValue();
            header.putString(pair.getKey());
            header.putInt(value.type().id());
            if (value.type() == GgufValueType.ARRAY) {
                header.putInt(value.elementType().id());
                header.putLong(value.count());
            } else if (value.type() == GgufValueType.STRING) {
                header.putLong(value.bytes().length);
            }
            header.putBytes(value.bytes());
        }
    }

    private static void writeInfo(GgufOutput header, Entry entry, long offset) throws GgufException {
        header.putString(entry.name());
        header.putInt(entry.shape().size());
        for (long dimension : entry.shape()) {
            header.putLong(dimension);
        }
        header.putInt(entry.type().id());
        header.putLong(offset);
    }

    /** A header in memory that pretends to be followed by the tensor data. */
    private record HeaderSource(ByteBuffer header, long size) implements ByteSource {
        @Override
        public int read(long position, ByteBuffer target) {
            int from = (int) Math.min(position, header.limit());
            int count = Math.min(target.remaining(), header.limit() - from);
            target.put(header.slice(from, count));
            return count;
        }
    }
}
