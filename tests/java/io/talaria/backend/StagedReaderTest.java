package io.talaria.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.quant.TensorType;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/** Weights arrive whole and in order whatever their rows, and whatever goes wrong on the way leaves nothing behind. */
class StagedReaderTest {
    private static final int MIB = 1 << 20;

    /** What {@link Bytes} does before it reads. */
    private interface Trouble {
        void before(long offset) throws IOException;
    }

    private record Bytes(byte[] all, Trouble trouble, TensorType type, Shape shape) implements TensorSource {
        Bytes(byte[] all, Trouble trouble) {
            this(all, trouble, TensorType.F32, Shape.of(all.length / 4096, 1024));
        }

        @Override
        public String name() {
            return "weight";
        }

        @Override
        public void read(long offset, ByteBuffer target) throws IOException {
            trouble.before(offset);
            target.put(all, (int) offset, target.remaining());
        }
    }

    private static byte[] random(int length, Random random) {
        byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        return bytes;
    }

    /** The bytes that a sink got; fails if a piece is out of order, or is not of whole rows. */
    private static byte[] collect(StagedReader reader, TensorSource source, int rowBytes, int total)
            throws IOException {
        ByteBuffer got = ByteBuffer.allocate(total);
        reader.read(source, rowBytes, total, (offset, piece) -> {
            assertEquals(got.position(), offset, "a piece out of order");
            assertTrue(piece.isDirect() && piece.position() == 0, "native code reads from the buffer's beginning");
            assertEquals(0, piece.remaining() % rowBytes, "a part of a row");
            got.put(piece);
        });
        assertFalse(got.hasRemaining(), "not all of the weight came");
        return got.array();
    }

    private static Set<Thread> readers() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().startsWith("weight-reader-"))
                .collect(Collectors.toSet());
    }

    @AfterEach
    void noThreadIsLeft() throws InterruptedException {
        boolean interrupted = Thread.interrupted();
        for (Thread reader : readers()) { // a pool has ended when its threads are about to
            reader.join(10_000);
        }
        assertEquals(Set.of(), readers());
        assertFalse(interrupted, "a test left its thread interrupted");
    }

    @Test
    void weightsOfAnySizeArriveWhole() throws IOException {
        Random random = new Random(5);
        StagedReader reader = new StagedReader();
        int[] rowSizes = {1, 34, 144, 2304, 8064, 100_001, 3 * MIB, 5 * MIB, 17 * MIB};
        for (int rowBytes : rowSizes) {
            for (int i = 0; i < 4; i++) {
                int rows = 1 + random.nextInt(Math.max(1, Math.min(100_000, 40 * MIB / rowBytes)));
                byte[] all = random(rowBytes * rows, random);
                byte[] got = collect(reader, new Bytes(all, offset -> {}), rowBytes, all.length);
                assertArrayEquals(all, got, rows + " rows of " + rowBytes);
            }
        }
    }

    /** The first piece is there only after two later ones. */
    @Test
    void piecesThatComeOutOfOrderAreHandedOverInOrder() throws IOException {
        byte[] all = random(64 * MIB, new Random(6));
        CountDownLatch later = new CountDownLatch(2);
        Bytes source = new Bytes(all, offset -> {
            if (offset == 0) {
                assertDoesNotThrow(() -> later.await());
            } else {
                later.countDown();
            }
        });
        assertArrayEquals(all, collect(new StagedReader(), source, 4096, all.length));
    }

    @Test
    void whatTheSourceThrowsArrivesAsItIsAndReadingEnds() {
        byte[] all = new byte[64 * MIB];
        for (Throwable thrown : new Throwable[] {new IOException("gone"), new IllegalStateException("broken")}) {
            Bytes source = new Bytes(all, offset -> {
                assertTrue(offset < 48 * MIB, "reading went on");
                if (offset >= 24 * MIB) {
                    sneak(thrown);
                }
            });
            StagedReader reader = new StagedReader();
            assertSame(thrown, assertThrows(thrown.getClass(), () -> collect(reader, source, 4096, all.length)));
            assertDoesNotThrow(() -> collect(reader, new Bytes(all, offset -> {}), 4096, all.length));
        }
    }

    private static void sneak(Throwable thrown) throws IOException {
        if (thrown instanceof IOException io) {
            throw io;
        }
        throw (RuntimeException) thrown;
    }

    @Test
    void aSinkThatFailsEndsTheReading() {
        byte[] all = new byte[64 * MIB];
        Bytes source = new Bytes(all, offset -> assertTrue(offset < 32 * MIB, "reading went on"));
        DeviceException full = new DeviceException(DeviceException.Kind.OUT_OF_MEMORY, "the device is full");
        assertSame(
                full,
                assertThrows(
                        DeviceException.class,
                        () -> new StagedReader().read(source, 4096, all.length, (o, p) -> {
                            throw full;
                        })));
    }

    @Test
    void anInterruptEndsTheLoadingOfASlowSource() {
        Thread loader = Thread.currentThread();
        Bytes slow = new Bytes(new byte[64 * MIB], offset -> {
            if (offset > 0) {
                loader.interrupt();
                try {
                    Thread.sleep(600_000);
                } catch (InterruptedException e) {
                    throw new IOException("the reader was interrupted", e);
                }
            }
        });
        try (Device device = Backends.open("cpu")) {
            IOException thrown = assertThrows(InterruptedIOException.class, () -> device.load(slow));
            assertTrue(thrown.getMessage().contains("weight"), thrown.getMessage());
            assertTrue(Thread.interrupted(), "whoever loads wants to know of it");
            assertDoesNotThrow(() -> device.load(new Bytes(new byte[32 * MIB], offset -> {})));
        }
    }

    /** Also if the pieces are always there in time, so that nobody ever waits. */
    @Test
    void anInterruptEndsTheLoadingOfAFastSource() {
        CountDownLatch begun = new CountDownLatch(4);
        Bytes source = new Bytes(new byte[16 * MIB], offset -> begun.countDown());
        assertThrows(
                InterruptedIOException.class,
                () -> new StagedReader().read(source, 4096, 16 * MIB, (offset, piece) -> {
                    assertDoesNotThrow(() -> begun.await());
                    Thread.currentThread().interrupt();
                }));
        assertTrue(Thread.interrupted());
    }

    /** Twenty GB of address space would show; a process's memory alone does not show what was never touched. */
    @Test
    void aWeightThatFailsIsFreed() throws IOException {
        Bytes broken = new Bytes(
                new byte[16 * MIB],
                offset -> {
                    if (offset >= 12 * MIB) {
                        throw new IOException("the file shrank");
                    }
                },
                TensorType.F32,
                Shape.of(1 << 17, 1024));
        try (Device device = Backends.open("cpu")) {
            assertThrows(IOException.class, () -> device.load(broken));
            long before = mappedBytes();
            for (int i = 0; i < 40; i++) {
                assertEquals(
                        "the file shrank",
                        assertThrows(IOException.class, () -> device.load(broken))
                                .getMessage());
            }
            assertTrue(mappedBytes() - before < 1L << 30, "failed weights keep their memory");
            assertDoesNotThrow(device::sync);
        }
    }

    private static long mappedBytes() throws IOException {
        Path statm = Path.of("/proc/self/statm");
        Assumptions.assumeTrue(Files.exists(statm), "not tested: /proc is not here");
        return Long.parseLong(Files.readString(statm).split(" ")[0]) * 4096;
    }
}
