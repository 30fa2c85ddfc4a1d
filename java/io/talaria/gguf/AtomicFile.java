package io.talaria.gguf;

import static java.nio.file.StandardOpenOption.CREATE_NEW;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.SecureRandom;

/** A file that appears under its name only when it is complete, or not at all. */
public final class AtomicFile implements Closeable {
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

    /**
     * Refuses a file that the disk has no room for, so that this is not found out when it is full.
     *
     * @throws IOException if there is less room; the message names the target
     */
    static void requireSpace(Path target, long bytes) throws IOException {
        long free = Files.getFileStore(target.toAbsolutePath().getParent()).getUsableSpace();
        if (bytes > free) {
            throw new FileSystemException(
                    target.toString(),
                    null,
                    "%.3f GB are needed and %.3f GB are free".formatted(bytes / 1e9, free / 1e9));
        }
    }

    /**
     * Begins a file under a temporary name beside the target.
     *
     * @throws IOException if it cannot be written there; the message names the target
     */
    public static AtomicFile create(Path target) throws IOException {
        String name = String.format(".%s.%016x.part", target.getFileName(), RANDOM.nextLong());
        Path temporary = target.resolveSibling(name);
        temporary.toFile().deleteOnExit(); // where a signal ends the process, nothing is closed
        try {
            // Not a file of Files.createTempFile, which only its owner may read, also after the rename.
            return new AtomicFile(target, temporary, FileChannel.open(temporary, CREATE_NEW, WRITE));
        } catch (AccessDeniedException e) {
            throw new AccessDeniedException(target.toString(), null, e.getReason());
        } catch (NoSuchFileException e) {
            throw new FileSystemException(target.toString(), null, "there can be no file of this name there");
        } catch (FileSystemException e) { // such as a name that is too long
            throw new FileSystemException(target.toString(), null, e.getReason());
        }
    }

    /**
     * Appends all of the buffer.
     *
     * @throws IOException if that fails, as on a full disk; the message names the target
     */
    public void write(ByteBuffer buffer) throws IOException {
        try {
            while (buffer.hasRemaining()) {
                channel.write(buffer);
            }
        } catch (ClosedChannelException e) {
            throw e;
        } catch (IOException e) { // such as a full disk, without a word on which file it is
            throw new FileSystemException(target.toString(), null, e.getMessage());
        }
    }

    /** Appends zeros until the file has {@code position} bytes. */
    void padTo(long position) throws IOException {
        write(ByteBuffer.allocate(Math.toIntExact(position - channel.position())));
    }

    /**
     * Forces the content to disk and gives the file its name, replacing what had it.
     *
     * @throws IOException if that fails; {@link #close} then removes what was written
     */
    public void commit() throws IOException {
        channel.force(true);
        channel.close();
        Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
        committed = true;
        forceFolder();
    }

    private void forceFolder() {
        Path folder = target.toAbsolutePath().getParent();
        try (FileChannel handle = FileChannel.open(folder, READ)) {
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
