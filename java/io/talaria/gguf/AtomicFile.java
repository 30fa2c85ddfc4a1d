package io.talaria.gguf;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.SecureRandom;

/** A file that appears under its name only when it is complete, or not at all. */
final class AtomicFile implements Closeable {
    private static final SecureRandom RANDOM = new SecureRandom();

    private final Path target;
    private final Path temporary;
    private final FileChannel channel;
    private boolean committed;

    private AtomicFile(Path target, Path temporary, FileChannel channel) {
        this.target = target;
        this.temporary = temporary;
        this.channel = channel;
    }

    /** Begins a file under a temporary name beside the target. */
    static AtomicFile create(Path target) throws IOException {
        String name = String.format(".%s.%016x.part", target.getFileName(), RANDOM.nextLong());
        Path temporary = target.resolveSibling(name);
        // Not a file of Files.createTempFile, which only its owner may read, also after the rename.
        FileChannel channel = FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        return new AtomicFile(target, temporary, channel);
    }

    /** Appends all of the buffer. */
    void write(ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }

    /** Appends zeros until the file has {@code position} bytes. */
    void padTo(long position) throws IOException {
        write(ByteBuffer.allocate(Math.toIntExact(position - channel.position())));
    }

    /** Forces the content to disk and gives the file its name, replacing what had it. */
    void commit() throws IOException {
        channel.force(true);
        channel.close();
        Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
        committed = true;
        forceFolder();
    }

    private void forceFolder() {
        Path folder = target.toAbsolutePath().getParent();
        try (FileChannel handle = FileChannel.open(folder, StandardOpenOption.READ)) {
            handle.force(true);
        } catch (IOException e) {
            // Some systems cannot open folders. The file is complete there too, only its name may not survive a crash.
            return;
        }
    }

    /** Closes the file and, without a commit before, removes it. */
    @Override
    public void close() throws IOException {
        channel.close();
        if (!committed) {
            Files.deleteIfExists(temporary);
        }
    }
}
