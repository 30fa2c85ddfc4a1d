package io.talaria.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * An open GGUF model: one file, or all shards of a split one. The header is read and checked when it is opened; tensor
 * data is read by position when asked for. Several threads may read at once.
 */
public final class GgufFile implements AutoCloseable {
    private final List<Path> paths;
    private final List<ByteSource> sources;
    private final List<GgufHeader> headers;
    private final List<GgufTensor> tensors;
    private final Map<String, GgufTensor> byName;

    private GgufFile(List<Path> paths, List<ByteSource> sources, List<GgufHeader> headers) {
        this.paths = List.copyOf(paths);
        this.sources = List.copyOf(sources);
        this.headers = List.copyOf(headers);
        this.tensors =
                headers.stream().flatMap(header -> header.tensors().stream()).toList();
        this.byName = HashMap.newHashMap(tensors.size());
        tensors.forEach(tensor -> byName.put(tensor.name(), tensor));
    }

    /**
     * Opens a model and reads its header. If the file is called NAME-00001-of-0000N.gguf, the other N - 1 shards beside
     * it are opened too.
     *
     * @throws GgufException if the file is not an acceptable GGUF file, or a shard other than the first
     * @throws IOException if the operating system cannot read the file
     */
    public static GgufFile open(Path path) throws IOException {
        List<Path> paths = GgufShards.siblings(path);
        List<ByteSource> sources = new ArrayList<>();
        boolean opened = false;
        try {
            for (Path shard : paths) {
                sources.add(FileSource.open(shard));
            }
            GgufFile file = of(paths, sources);
            opened = true;
            return file;
        } finally {
            if (!opened) {
                closeAll(sources);
            }
        }
    }

    /** Reads the headers of shards that are open already, in their order. */
    static GgufFile of(List<Path> paths, List<ByteSource> sources) throws IOException {
        List<GgufHeader> headers = new ArrayList<>();
        for (int i = 0; i < sources.size(); i++) {
            headers.add(GgufReader.read(Printable.path(paths.get(i)), sources.get(i), i));
        }
        GgufShards.check(headers);
        return new GgufFile(paths, sources, headers);
    }

    /** The version of the format, 2 or 3; that of the first shard. */
    public int version() {
        return headers.get(0).version();
    }

    /** The metadata of the model; that of the first shard. */
    public GgufMetadata metadata() {
        return headers.get(0).metadata();
    }

    /** All tensors, in the order of the file, shard by shard. */
    public List<GgufTensor> tensors() {
        return tensors;
    }

    /** The tensor with this name. */
    public Optional<GgufTensor> tensor(String name) {
        return Optional.ofNullable(byName.get(name));
    }

    /** The model's files, in order. */
    public List<Path> paths() {
        return paths;
    }

    /** The length of all files together, in bytes, as it was when they were opened. */
    public long fileBytes() {
        return headers.stream().mapToLong(GgufHeader::size).sum();
    }

    /**
     * Fills the target's remaining space with a tensor's data.
     *
     * @param tensor one of this file's tensors
     * @param offset where to begin, in bytes from the start of the tensor's data
     * @throws GgufException if the read reaches outside the tensor, or if the file became shorter since it was opened
     * @throws IOException if the file cannot be read or is closed, or if the thread is interrupted, which closes the
     *     file for all threads
     */
    public void read(GgufTensor tensor, long offset, ByteBuffer target) throws IOException {
        if (!tensor.equals(byName.get(tensor.name()))) {
            throw new IllegalArgumentException("the tensor " + Printable.name(tensor.name()) + " is not of this file");
        }
        int wanted = target.remaining();
        String file = headers.get(tensor.shard()).file();
        if (offset < 0 || offset > tensor.bytes() - wanted) {
            throw GgufException.of(
                    GgufFault.READ_OUTSIDE_TENSOR,
                    file,
                    "tensor " + Printable.name(tensor.name()) + " has " + tensor.bytes() + " bytes, but " + wanted
                            + " bytes from offset " + offset + " were asked for");
        }
        if (!sources.get(tensor.shard()).fill(tensor.position() + offset, target)) {
            throw GgufException.of(
                    GgufFault.FILE_CHANGED,
                    file,
                    "the file became shorter while it was open, so that tensor " + Printable.name(tensor.name())
                            + " cannot be read at byte " + (tensor.position() + offset));
        }
    }

    /**
     * Checks that every file still has the length that it had when it was opened; to be called after loading.
     *
     * @throws GgufException if a file became shorter or longer
     */
    public void verifyLength() throws IOException {
        for (int i = 0; i < sources.size(); i++) {
            long now = sources.get(i).size();
            if (now != headers.get(i).size()) {
                throw GgufException.of(
                        GgufFault.FILE_CHANGED,
                        headers.get(i).file(),
                        "the file had " + headers.get(i).size() + " bytes when it was opened and has " + now + " now");
            }
        }
    }

    /** Closes the files; may be called again. */
    @Override
    public void close() throws IOException {
        closeAll(sources);
    }

    private static void closeAll(List<ByteSource> sources) throws IOException {
        IOException first = null;
        for (ByteSource source : sources) {
            try {
                source.close();
            } catch (IOException e) {
                first = first == null ? e : first;
            }
        }
        if (first != null) {
            throw first;
        }
    }
}
