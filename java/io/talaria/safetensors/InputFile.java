package io.talaria.safetensors;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A regular file that is read by position. Several threads may read at once. */
final class InputFile implements Closeable {
    private final Path path;
    private final FileChannel channel;
    private final long size;

    private InputFile(Path path, FileChannel channel) throws IOException {
        this.path = path;
        this.channel = channel;
        this.size = channel.size();
    }

    static InputFile open(Path path) throws IOException {
        if (!Files.exists(path)) {
            throw SafetensorsException.of(SafetensorsFault.FILE_MISSING, path, "there is no such file");
        }
        // Tested before opening: to open a named pipe would wait for a writer for ever.
        if (!Files.isRegularFile(path)) {
            throw SafetensorsException.of(SafetensorsFault.NOT_A_FILE, path, "this is not a regular file");
        }
        return new InputFile(path, FileChannel.open(path, StandardOpenOption.READ));
    }

    /** The length when the file was opened. */
    long size() {
        return size;
    }

    /** Fills the target's remaining space from {@code position} on. */
    void fill(long position, ByteBuffer target) throws IOException {
        long at = position;
        while (target.hasRemaining()) {
            int count = channel.read(target, at);
            if (count <= 0) {
                throw SafetensorsException.of(
                        SafetensorsFault.FILE_CHANGED, path, "the file became shorter while it was read");
            }
            at += count;
        }
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
