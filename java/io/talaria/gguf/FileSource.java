package io.talaria.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A file on disk, read by position through a channel. */
final class FileSource implements ByteSource {
    private static final int HEAP_READ_BYTES = 1 << 20;

    private final FileChannel channel;

    private FileSource(FileChannel channel) {
        this.channel = channel;
    }

    /** Opens a regular file; a {@link GgufException} says why that is not possible. */
    static FileSource open(Path path) throws IOException {
        String file = Printable.path(path);
        // Tested before opening: to open a named pipe would wait for a writer for ever.
        if (Files.exists(path) && !Files.isRegularFile(path)) {
            String kind = Files.isDirectory(path) ? "this is a directory" : "this is not a regular file";
            throw GgufException.of(GgufFault.NOT_A_FILE, file, kind);
        }
        try {
            return new FileSource(FileChannel.open(path, StandardOpenOption.READ));
        } catch (NoSuchFileException e) {
            throw GgufException.of(GgufFault.FILE_NOT_FOUND, file, "there is no such file", e);
        } catch (AccessDeniedException e) {
            throw GgufException.of(GgufFault.FILE_UNREADABLE, file, "this user may not read the file", e);
        } catch (FileSystemException e) {
            throw GgufException.of(
                    GgufFault.FILE_UNREADABLE, file, "the file cannot be opened (" + e.getReason() + ")", e);
        }
    }

    @Override
    public long size() throws IOException {
        return channel.size();
    }

    @Override
    public int read(long position, ByteBuffer target) throws IOException {
        if (target.isDirect() || target.remaining() <= HEAP_READ_BYTES) {
            return channel.read(target, position);
        }
        // For a heap buffer the JDK keeps a direct copy as large as the read in every thread.
        ByteBuffer part = target.slice(target.position(), HEAP_READ_BYTES);
        int count = channel.read(part, position);
        target.position(target.position() + Math.max(count, 0));
        return count;
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
