package io.talaria.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files and headers of real size. */
class LargeFileTest {
    private static final long FIVE_GIB = 5L << 30;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    @Test
    void dataBehindFourGibIsRead(@TempDir Path folder) throws IOException {
        Path path = folder.resolve("large.gguf");
        GgufBuilder builder = new GgufBuilder();
        builder.tensor("large", TensorType.I8, 1).tensor("behind", TensorType.I8, 16);
        builder.tensors.get(0).shape(1 << 20, FIVE_GIB >> 20);
        builder.tensors.get(1).offset = FIVE_GIB;
        byte[] header = builder.header();
        byte[] marks = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.write(header);
            file.setLength(header.length + FIVE_GIB + marks.length);
            file.seek(header.length + FIVE_GIB - 1);
            file.write(99);
            file.write(marks);
        } catch (IOException e) {
            Assumptions.abort("this file system has no sparse file of 5 GiB: " + e.getMessage());
        }
        try (GgufFile file = GgufFile.open(path)) {
            GgufTensor large = file.tensors().get(0);
            assertEquals(FIVE_GIB, large.bytes());
            assertEquals(99, read(file, large, FIVE_GIB - 1, 1)[0]);
            assertEquals(0, read(file, large, FIVE_GIB - 2, 1)[0]);
            GgufTensor behind = file.tensors().get(1);
            assertTrue(behind.position() > FIVE_GIB);
            assertArrayEquals(marks, read(file, behind, 0, 16));
            assertArrayEquals(new byte[] {13, 14}, read(file, behind, 12, 2));
            GgufException refusal = assertThrows(GgufException.class, () -> read(file, large, FIVE_GIB - 1, 2));
            assertEquals(GgufFault.READ_OUTSIDE_TENSOR, refusal.fault());
        }
    }

    @Test
    void tenThousandKeysAndTensors() throws IOException {
        GgufBuilder builder = new GgufBuilder();
        for (int i = 0; i < GgufLimits.KEYS; i++) {
            builder.key("some.group.key." + i, GgufBuilder.U32, GgufBuilder.u32(i));
        }
        for (int i = 0; i < GgufLimits.TENSORS; i++) {
            builder.tensor("blk." + i + ".weight", TensorType.F32, 8);
        }
        ArraySource source = new ArraySource(builder.build());
        long allocated = THREADS.getCurrentThreadAllocatedBytes();
        long start = System.nanoTime();
        try (GgufFile file = GgufFile.of(List.of(Path.of("many.gguf")), List.of(source))) {
            double seconds = (System.nanoTime() - start) / 1e9;
            allocated = THREADS.getCurrentThreadAllocatedBytes() - allocated;
            assertTrue(allocated <= 2L * builder.header().length + (16 << 20), allocated + " bytes allocated");
            assertEquals(GgufLimits.KEYS, file.metadata().keys().size());
            assertEquals(9_999, file.metadata().uint32("some.group.key.9999").orElseThrow());
            assertEquals(GgufLimits.TENSORS, file.tensors().size());
            System.out.printf("10,000 keys and 10,000 tensors: %.3f s, %d KiB%n", seconds, allocated >> 10);
            assertTrue(seconds < 5, seconds + " s");
        }
    }

    /** The header of a full-size file in the per-expert layout: 995 tensors and a tokenizer of 32,002 entries. */
    @Test
    void mixtralHeader() throws IOException {
        GgufBuilder builder = new GgufBuilder();
        byte[][] tokens = new byte[32_002][];
        for (int i = 0; i < tokens.length; i++) {
            tokens[i] = GgufBuilder.text("\u2581token" + i);
        }
        byte[] count = GgufBuilder.u64(tokens.length);
        byte[] strings = GgufBuilder.u32(GgufBuilder.STRING);
        builder.key("tokenizer.ggml.tokens", GgufBuilder.ARRAY, strings, count, GgufBuilder.join(tokens));
        byte[] numbers = GgufBuilder.repeat(GgufBuilder.u32(1), tokens.length);
        builder.key("tokenizer.ggml.token_type", GgufBuilder.ARRAY, GgufBuilder.u32(GgufBuilder.I32), count, numbers);
        for (int i = 0; i < 995; i++) {
            builder.tensor("blk." + i / 31 + ".part." + i % 31 + ".weight", TensorType.Q4_K, 256);
        }
        ArraySource source = new ArraySource(builder.build());
        long start = System.nanoTime();
        GgufHeader header = GgufReader.read("mixtral.gguf", source, 0);
        double seconds = (System.nanoTime() - start) / 1e9;
        assertEquals(995, header.tensors().size());
        List<String> read =
                header.metadata().stringArray("tokenizer.ggml.tokens").orElseThrow();
        assertEquals("\u2581token32001", read.get(32_001));
        assertEquals(
                tokens.length,
                header.metadata().int32Array("tokenizer.ggml.token_type").orElseThrow().length);
        System.out.printf("995 tensors and 32,002 tokens: %.3f s%n", seconds);
        assertTrue(seconds < 5, seconds + " s");
    }

    /** Arrays of tiny strings are where objects would take many times the file's bytes. */
    @Test
    void stringArraysStayInTheHeapBudget() throws IOException {
        int count = 4 << 20;
        GgufBuilder builder = new GgufBuilder();
        byte[] type = GgufBuilder.u32(GgufBuilder.STRING);
        builder.key("tokens", GgufBuilder.ARRAY, type, GgufBuilder.u64(count));
        byte[] start = builder.header();
        // The builder's padding is zeros too: it becomes the first strings' lengths.
        long size = start.length + (long) count * Long.BYTES;
        long allocated = THREADS.getCurrentThreadAllocatedBytes();
        GgufHeader header = GgufReader.read("strings.gguf", new ArraySource(start, size), 0);
        allocated = THREADS.getCurrentThreadAllocatedBytes() - allocated;
        assertEquals(
                count, header.metadata().stringArray("tokens").orElseThrow().size());
        assertEquals("", header.metadata().stringArray("tokens").orElseThrow().get(count - 1));
        assertTrue(allocated <= 2 * size + (16 << 20), allocated + " bytes for a header of " + size);
    }

    @Test
    void headerAboveItsLimitIsRefusedBeforeItIsRead() {
        int string = 16 << 20;
        GgufBuilder builder = new GgufBuilder();
        byte[] type = GgufBuilder.u32(GgufBuilder.STRING);
        builder.key("tokens", GgufBuilder.ARRAY, type, GgufBuilder.u64(17));
        builder.alignment = 1;
        byte[] start = builder.header();
        ByteSource source = new ByteSource() {
            @Override
            public long size() {
                return 1L << 40;
            }

            // Behind the start: strings of 16 MiB of zeros, each behind its length.
            @Override
            public int read(long position, ByteBuffer target) {
                int count = 0;
                for (long at = position; target.hasRemaining(); at++, count++) {
                    long inString = (at - start.length) % (string + Long.BYTES);
                    target.put(at < start.length ? start[(int) at] : inString == 3 ? (byte) 1 : 0);
                }
                return count;
            }
        };
        long allocated = THREADS.getCurrentThreadAllocatedBytes();
        GgufException refusal = assertThrows(GgufException.class, () -> GgufReader.read("h.gguf", source, 0));
        allocated = THREADS.getCurrentThreadAllocatedBytes() - allocated;
        assertEquals(GgufFault.HEADER_TOO_LARGE, refusal.fault(), refusal.getMessage());
        assertTrue(allocated <= 16 << 20, allocated + " bytes");
    }

    private static byte[] read(GgufFile file, GgufTensor tensor, long offset, int count) throws IOException {
        byte[] bytes = new byte[count];
        file.read(tensor, offset, ByteBuffer.wrap(bytes));
        return bytes;
    }
}
