package io.talaria.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Every malformed file is refused with its fault, quickly and in little memory, and its valid twin is accepted. */
class MalformedFilesTest {
    private static final Duration HANG = Duration.ofSeconds(5);
    private static final long BASE_BYTES = 16 << 20;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private static long slowestNanos;
    private static String slowest = "";
    private static long mostBytes;
    private static String largest = "";

    static List<Malformed> all() {
        return Stream.of(HeaderFaults.all(), KeyFaults.all(), TensorFaults.all())
                .flatMap(Collection::stream)
                .toList();
    }

    @Test
    void entriesAreDistinct() {
        Set<String> ids = new HashSet<>();
        Set<String> contents = new HashSet<>();
        for (Malformed entry : all()) {
            assertTrue(ids.add(entry.id()), entry.id());
            assertTrue(contents.add(Arrays.toString(entry.brokenBytes())), entry.id() + " repeats another file");
            assertFalse(Arrays.equals(entry.brokenBytes(), entry.repairedBytes()), entry.id());
        }
        assertTrue(ids.size() >= 101, ids.size() + " entries");
    }

    @TestFactory
    Stream<DynamicTest> refused() {
        return all().stream().map(entry -> DynamicTest.dynamicTest(entry.id(), () -> check(entry)));
    }

    @AfterAll
    static void report() {
        System.out.printf(
                "%d malformed files: slowest %s %.2f ms, most memory %s %d KiB%n",
                all().size(), slowest, slowestNanos / 1e6, largest, mostBytes >> 10);
    }

    private static void check(Malformed entry) throws IOException {
        byte[] broken = entry.brokenBytes();
        GgufException refusal = assertTimeoutPreemptively(HANG, () -> refuse(entry, broken));
        assertEquals(entry.fault(), refusal.fault(), refusal.getMessage());
        assertSentence(refusal.getMessage(), entry.fragment());
        open(entry.repairedBytes());
    }

    private static GgufException refuse(Malformed entry, byte[] bytes) {
        ArraySource source = new ArraySource(bytes);
        long allocated = THREADS.getCurrentThreadAllocatedBytes();
        long start = System.nanoTime();
        GgufException refusal = assertThrows(GgufException.class, () -> open(source));
        long nanos = System.nanoTime() - start;
        allocated = THREADS.getCurrentThreadAllocatedBytes() - allocated;
        // What is allocated in all is an upper bound of what is held at any time.
        assertTrue(allocated <= 2L * bytes.length + BASE_BYTES, allocated + " bytes allocated");
        record(entry.id(), nanos, allocated);
        return refusal;
    }

    private static synchronized void record(String id, long nanos, long allocated) {
        if (nanos > slowestNanos) {
            slowestNanos = nanos;
            slowest = id;
        }
        if (allocated > mostBytes) {
            mostBytes = allocated;
            largest = id;
        }
    }

    private static void assertSentence(String message, String fragment) {
        assertTrue(message.startsWith("model.gguf: "), message);
        assertTrue(message.contains(fragment), () -> "'" + fragment + "' is missing in: " + message);
        assertTrue(message.endsWith(".") && message.contains("; "), message);
        assertTrue(message.chars().noneMatch(Character::isISOControl), message);
        assertTrue(message.length() < 400, message);
    }

    private static void open(byte[] bytes) throws IOException {
        open(new ArraySource(bytes));
    }

    private static void open(ByteSource source) throws IOException {
        GgufFile.of(List.of(Path.of("model.gguf")), List.of(source)).close();
    }
}
