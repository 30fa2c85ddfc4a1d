package io.talaria.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Opening and reading files on disk. */
class GgufFileTest {
    private static final int LARGE = 5 << 20;

    @TempDir
    Path folder;

    @Test
    void pathsThatAreNoFilesAreRefused() throws IOException {
        assertRefused(folder, GgufFault.NOT_A_FILE, "is a directory");
        assertRefused(folder.resolve("absent.gguf"), GgufFault.FILE_NOT_FOUND, "absent.gguf: there is no such file");
        Path empty = Files.createFile(folder.resolve("empty.gguf"));
        assertRefused(empty, GgufFault.FILE_EMPTY, "no bytes");
    }

    @Test
    void unreadableFileIsRefused() throws IOException {
        Path path = write(GgufBuilder.small().build());
        try {
            Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("---------"));
        } catch (UnsupportedOperationException e) {
            Assumptions.abort("this system has no POSIX permissions");
        }
        Assumptions.assumeFalse(Files.isReadable(path), "this user may read everything");
        assertRefused(path, GgufFault.FILE_UNREADABLE, "this user may not read");
    }

    @Test
    void fileThatCannotBeOpenedIsRefused() throws IOException {
        Path loop = folder.resolve("loop.gguf");
        try {
            Files.createSymbolicLink(loop, loop);
        } catch (UnsupportedOperationException e) {
            Assumptions.abort("this system has no symbolic links");
        }
        assertRefused(loop, GgufFault.FILE_UNREADABLE, "cannot be opened");
    }

    @Test
    void devicesAreRefusedWithoutWaiting() {
        Path device = Path.of("/dev/zero");
        Assumptions.assumeTrue(Files.exists(device));
        assertTimeoutPreemptively(
                Duration.ofSeconds(5), () -> assertRefused(device, GgufFault.NOT_A_FILE, "is not a regular file"));
    }

    @Test
    void controlCharactersOfThePathAreEscaped() {
        Path path = folder.resolve("a\nb\u001b[31m.gguf");
        assertRefused(path, GgufFault.FILE_NOT_FOUND, "a\\u{a}b\\u{1b}[31m.gguf");
    }

    @Test
    void everyByteIsReadFromItsPlace() throws IOException {
        GgufBuilder builder = GgufBuilder.small().tensor("large", TensorType.I8, LARGE);
        byte[] content = builder.build();
        try (GgufFile file = GgufFile.open(write(content))) {
            GgufTensor large = file.tensor("large").orElseThrow();
            // A heap buffer above the size of one piece, read from an odd place.
            ByteBuffer heap = ByteBuffer.allocate(LARGE + 10).position(3).limit(LARGE);
            file.read(large, 2, heap);
            assertEquals(LARGE, heap.position());
            int start = (int) large.position() + 2;
            assertEquals(ByteBuffer.wrap(content, start, LARGE - 3), heap.flip().position(3));
            ByteBuffer direct = ByteBuffer.allocateDirect(LARGE);
            file.read(large, 0, direct);
            assertEquals(ByteBuffer.wrap(content, (int) large.position(), LARGE), direct.flip());
            file.read(large, LARGE, ByteBuffer.allocate(0));
        }
    }

    @Test
    void threadsReadAtOnce() throws Exception {
        byte[] content =
                GgufBuilder.small().tensor("large", TensorType.I8, LARGE).build();
        try (GgufFile file = GgufFile.open(write(content));
                ExecutorService threads = Executors.newFixedThreadPool(4)) {
            GgufTensor large = file.tensor("large").orElseThrow();
            Callable<byte[]> task = () -> GoldenFilesTest.data(file, large);
            List<Future<byte[]>> reads =
                    threads.invokeAll(IntStream.range(0, 16).mapToObj(i -> task).toList());
            byte[] expected = GoldenFilesTest.data(file, large);
            for (Future<byte[]> read : reads) {
                assertArrayEquals(expected, read.get());
            }
        }
    }

    @Test
    void readsOutsideATensorAreRefused() throws IOException {
        try (GgufFile file = GgufFile.open(write(GgufBuilder.small().build()))) {
            GgufTensor a = file.tensor("a").orElseThrow();
            for (long offset : new long[] {-1, 509, 512, 1L << 40, Long.MAX_VALUE, Long.MIN_VALUE}) {
                GgufException refusal =
                        assertThrows(GgufException.class, () -> file.read(a, offset, ByteBuffer.allocate(4)));
                assertEquals(GgufFault.READ_OUTSIDE_TENSOR, refusal.fault());
                assertTrue(refusal.getMessage().contains("from offset " + offset), refusal.getMessage());
            }
            file.read(a, 508, ByteBuffer.allocate(4));
            GgufTensor forged = new GgufTensor("a", a.type(), a.shape(), 0, 0, 1L << 40);
            assertThrows(IllegalArgumentException.class, () -> file.read(forged, 0, ByteBuffer.allocate(4)));
            GgufTensor foreign = new GgufTensor("z", a.type(), a.shape(), 3, 0, 512);
            assertThrows(IllegalArgumentException.class, () -> file.read(foreign, 0, ByteBuffer.allocate(4)));
        }
    }

    @Test
    void truncationWhileOpenIsAnError() throws IOException {
        Path path = write(GgufBuilder.small().build());
        try (GgufFile file = GgufFile.open(path);
                FileChannel other = FileChannel.open(path, StandardOpenOption.WRITE)) {
            file.verifyLength();
            GgufTensor last = file.tensor("c").orElseThrow();
            other.truncate(last.position() + 5);
            GgufException refusal =
                    assertThrows(GgufException.class, () -> file.read(last, 0, ByteBuffer.allocate(32)));
            assertEquals(GgufFault.FILE_CHANGED, refusal.fault());
            assertTrue(refusal.getMessage().contains("became shorter while it was open"), refusal.getMessage());
            assertEquals(
                    GgufFault.FILE_CHANGED,
                    assertThrows(GgufException.class, file::verifyLength).fault());
            file.read(last, 0, ByteBuffer.allocate(5));
        }
    }

    @Test
    void growthWhileOpenIsNoticed() throws IOException {
        Path path = write(GgufBuilder.small().build());
        try (GgufFile file = GgufFile.open(path)) {
            Files.write(path, new byte[1], StandardOpenOption.APPEND);
            GgufException refusal = assertThrows(GgufException.class, file::verifyLength);
            assertTrue(refusal.getMessage().contains("when it was opened"), refusal.getMessage());
        }
    }

    @Test
    void truncationWhileTheHeaderIsReadIsAnError() {
        byte[] content = GgufBuilder.small().build();
        int end = GgufBuilder.small().header().length - 40;
        assertTimeoutPreemptively(Duration.ofSeconds(5), () -> {
            for (int available = 0; available < end; available++) {
                ByteSource source = new ShrunkSource(Arrays.copyOf(content, available), content.length);
                GgufException refusal = assertThrows(GgufException.class, () -> GgufReader.read("s", source, 0));
                assertEquals(GgufFault.FILE_CHANGED, refusal.fault(), refusal.getMessage());
            }
        });
    }

    @Test
    void closedFileIsNotRead() throws IOException {
        GgufFile file = GgufFile.open(write(GgufBuilder.small().build()));
        file.close();
        file.close();
        GgufTensor a = file.tensor("a").orElseThrow();
        assertThrows(ClosedChannelException.class, () -> file.read(a, 0, ByteBuffer.allocate(4)));
    }

    @Test
    void interruptIsPassedOn() throws IOException {
        try (GgufFile file = GgufFile.open(write(GgufBuilder.small().build()))) {
            GgufTensor a = file.tensor("a").orElseThrow();
            Thread.currentThread().interrupt();
            assertThrows(ClosedByInterruptException.class, () -> file.read(a, 0, ByteBuffer.allocate(4)));
        } finally {
            assertTrue(Thread.interrupted());
        }
    }

    private Path write(byte[] content) throws IOException {
        return Files.write(folder.resolve("model.gguf"), content);
    }

    private static void assertRefused(Path path, GgufFault fault, String fragment) {
        GgufException refusal = assertThrows(GgufException.class, () -> GgufFile.open(path));
        assertEquals(fault, refusal.fault(), refusal.getMessage());
        assertTrue(refusal.getMessage().contains(fragment), refusal.getMessage());
    }

    /** A file that lost its end after its length was taken; some systems answer with 0 and not -1 there. */
    private record ShrunkSource(byte[] left, long size) implements ByteSource {
        @Override
        public int read(long position, ByteBuffer target) {
            int count = new ArraySource(left).read(position, target);
            return left.length % 2 == 0 ? count : Math.max(count, 0);
        }
    }
}
