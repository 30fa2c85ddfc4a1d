package io.talaria.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GgufWriterTest {
    @TempDir
    Path folder;

    /** The bytes that the format demands, put together by other code than the writer's. */
    @Test
    void bytesAreThoseOfTheFormat() throws IOException {
        GgufBuilder builder = GgufBuilder.small();
        byte[] content = builder.build();
        Path source = Files.write(folder.resolve("source.gguf"), content);
        Path copy = folder.resolve("copy.gguf");
        try (GgufFile file = GgufFile.open(source)) {
            GgufWriter writer = new GgufWriter()
                    .putString("general.architecture", "llama")
                    .putUint32("test.count", 7)
                    .putBool("test.flag", true)
                    .putStringArray("test.tokens", List.of("<s>", "na\u00efve", ""))
                    .putFloat32Array("test.scores", new float[] {0.5f, -1, 0})
                    .putInt32Array("test.types", new int[] {3, 1, 1})
                    .putInteger("test.large", GgufValueType.UINT64, 1L << 40);
            for (GgufTensor tensor : file.tensors()) {
                GgufWriter.TensorData data =
                        GgufWriter.TensorData.of(ByteBuffer.wrap(GoldenFilesTest.data(file, tensor)));
                writer.addTensor(tensor.name(), tensor.type(), tensor.shape(), data);
            }
            writer.write(copy);
        }
        assertArrayEquals(content, Files.readAllBytes(copy));
    }

    @Test
    void alignmentIsObserved() throws IOException {
        Path path = folder.resolve("aligned.gguf");
        for (int alignment : new int[] {8, 64, 65_536}) {
            GgufWriter writer = new GgufWriter().alignment(alignment);
            tensor(tensor(writer, "a", 3), "b", 5).write(path);
            try (GgufFile file = GgufFile.open(path)) {
                assertEquals(
                        alignment, file.metadata().uint32("general.alignment").orElseThrow());
                GgufTensor b = file.tensor("b").orElseThrow();
                assertEquals(0, b.position() % alignment);
                assertArrayEquals(new byte[] {0, 1, 2, 3, 4}, GoldenFilesTest.data(file, b));
                // Other readers want the padding behind the last tensor too.
                assertEquals(0, file.fileBytes() % alignment);
            }
        }
    }

    @Test
    void keysAreReplacedAndRemoved() throws IOException {
        Path path = folder.resolve("keys.gguf");
        new GgufWriter()
                .putUint32("a", 1)
                .putUint32("b", 2)
                .putUint32("c", 3)
                .putString("a", "new")
                .remove("b")
                .write(path);
        try (GgufFile file = GgufFile.open(path)) {
            assertEquals(List.of("a", "c"), List.copyOf(file.metadata().keys()));
            assertEquals("new", file.metadata().string("a").orElseThrow());
        }
    }

    @Test
    void whatTheReaderRefusesIsNotWritten() throws IOException {
        assertRefused(GgufFault.TENSOR_DUPLICATE, tensor(tensor(new GgufWriter(), "a", 1), "a", 1));
        assertRefused(GgufFault.TENSOR_NAME_LENGTH, tensor(new GgufWriter(), "", 1));
        assertRefused(GgufFault.TENSOR_NAME_LENGTH, tensor(new GgufWriter(), "n".repeat(64), 1));
        assertRefused(GgufFault.KEY_LENGTH, new GgufWriter().putBool("", true));
        assertRefused(GgufFault.KEY_LENGTH, new GgufWriter().putBool("k".repeat(65_536), true));
        assertRefused(GgufFault.ALIGNMENT_INVALID, new GgufWriter().alignment(48));
        assertRefused(GgufFault.KEY_TYPE, new GgufWriter().putString("general.alignment", "32"));
        assertRefused(GgufFault.STRING_TOO_LONG, new GgufWriter().putString("s", "x".repeat((16 << 20) + 1)));
        assertRefused(GgufFault.TENSOR_DIMENSIONS, shaped(TensorType.F32));
        assertRefused(GgufFault.TENSOR_DIMENSIONS, shaped(TensorType.F32, 1L, 1L, 1L, 1L, 1L));
        assertRefused(GgufFault.TENSOR_DIMENSION_ZERO, shaped(TensorType.F32, 4L, 0L));
        assertRefused(GgufFault.TENSOR_TOO_LARGE, shaped(TensorType.F32, 1L << 62));
        assertRefused(GgufFault.TENSOR_TOO_LARGE, shaped(TensorType.I8, -1L));
        assertRefused(GgufFault.TENSOR_TOO_LARGE, shaped(TensorType.I8, Long.MAX_VALUE));
        assertRefused(GgufFault.TENSOR_TOO_LARGE, shaped(TensorType.I8, Long.MAX_VALUE - 63));
        assertRefused(GgufFault.TENSOR_ROW_NOT_BLOCKS, shaped(TensorType.Q4_K, 128L, 2L));
        GgufWriter keys = new GgufWriter();
        for (int i = 0; i <= GgufLimits.KEYS; i++) {
            keys.putBool("k" + i, true);
        }
        assertRefused(GgufFault.TOO_MANY_KEYS, keys);
        GgufWriter tensors = new GgufWriter();
        for (int i = 0; i <= GgufLimits.TENSORS; i++) {
            tensor(tensors, "t" + i, 1);
        }
        assertRefused(GgufFault.TOO_MANY_TENSORS, tensors);
    }

    @Test
    void dataOfTheWrongLengthIsRefused() throws IOException {
        for (int bytes : new int[] {0, 15, 17}) {
            GgufWriter writer = new GgufWriter()
                    .addTensor("a", TensorType.F32, List.of(4L), GgufWriter.TensorData.of(ByteBuffer.allocate(bytes)));
            assertRefused(GgufFault.DATA_LENGTH, writer);
        }
    }

    @Test
    void failureLeavesTheOldFile() throws IOException {
        Path path = Files.writeString(folder.resolve("model.gguf"), "old");
        GgufWriter writer = new GgufWriter().addTensor("a", TensorType.I8, List.of(4L), channel -> {
            channel.write(ByteBuffer.allocate(2));
            assertEquals(2, fileCount());
            throw new IOException("the source failed");
        });
        assertEquals(
                "the source failed",
                assertThrows(IOException.class, () -> writer.write(path)).getMessage());
        assertEquals("old", Files.readString(path));
        assertEquals(1, fileCount());
        tensor(new GgufWriter(), "a", 4).write(path);
        assertEquals(1, fileCount());
        GgufFile.open(path).close();
    }

    @Test
    void aFileCanBeRewrittenWhileItIsRead() throws IOException {
        Path path = folder.resolve("model.gguf");
        tensor(new GgufWriter(), "a", 100).write(path);
        try (GgufFile file = GgufFile.open(path)) {
            GgufTensor a = file.tensors().get(0);
            new GgufWriter()
                    .putString("general.name", "new")
                    .addTensor("a", a.type(), a.shape(), GgufWriter.TensorData.copyOf(file, a))
                    .write(path);
            file.verifyLength();
        }
        try (GgufFile file = GgufFile.open(path)) {
            assertEquals("new", file.metadata().string("general.name").orElseThrow());
            assertEquals(99, GoldenFilesTest.data(file, file.tensors().get(0))[99]);
        }
    }

    @Test
    void valuesThatDoNotFitTheirTypeAreRefused() {
        GgufWriter writer = new GgufWriter();
        for (GgufValueType type : GgufValueType.values()) {
            if (type.integer() && type.bytes() < 8) {
                long highest = (1L << (8 * type.bytes() - (type.unsigned() ? 0 : 1))) - 1;
                long lowest = type.unsigned() ? 0 : -highest - 1;
                writer.putInteger("k", type, highest).putInteger("k", type, lowest);
                assertIllegal(() -> writer.putInteger("k", type, highest + 1));
                assertIllegal(() -> writer.putInteger("k", type, lowest - 1));
                assertIllegal(() -> writer.putArray("k", type, List.of(0, highest + 1)));
            }
        }
        assertIllegal(() -> writer.putInteger("k", GgufValueType.FLOAT32, 1));
        assertIllegal(() -> writer.putArray("k", GgufValueType.UINT64, List.of(-1)));
        assertIllegal(() -> writer.putArray("k", GgufValueType.INT32, List.of(1.5)));
        assertIllegal(() -> writer.putArray("k", GgufValueType.INT32, List.of("one")));
        assertIllegal(() -> writer.putArray("k", GgufValueType.BOOL, List.of(1)));
        assertIllegal(() -> writer.putArray("k", GgufValueType.STRING, List.of(1)));
        assertIllegal(() -> writer.putArray("k", GgufValueType.FLOAT32, List.of(1.0)));
        assertIllegal(() -> writer.putArray("k", GgufValueType.ARRAY, List.of()));
        assertIllegal(() -> writer.putArray("k", GgufValueType.BOOL, Collections.singletonList(null)));
        assertIllegal(() -> writer.putString("k", "lone \ud800"));
        assertIllegal(() -> writer.putString("lone \udc00", "v"));
        assertIllegal(() -> tensor(writer, "\ud800", 1));
    }

    private void assertRefused(GgufFault fault, GgufWriter writer) throws IOException {
        GgufException refusal = assertThrows(GgufException.class, () -> writer.write(folder.resolve("refused.gguf")));
        assertEquals(fault, refusal.fault(), refusal.getMessage());
        assertTrue(refusal.getMessage().contains("refused.gguf: "), refusal.getMessage());
        assertEquals(0, fileCount());
    }

    private long fileCount() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.count();
        }
    }

    private static void assertIllegal(Runnable call) {
        assertThrows(IllegalArgumentException.class, call::run);
    }

    private static GgufWriter shaped(TensorType type, Long... shape) {
        return new GgufWriter().addTensor("t", type, List.of(shape), GgufWriter.TensorData.of(ByteBuffer.allocate(0)));
    }

    // A tensor of int8 that counts up.
    private static GgufWriter tensor(GgufWriter writer, String name, int bytes) {
        byte[] data = new byte[bytes];
        for (int i = 0; i < bytes; i++) {
            data[i] = (byte) i;
        }
        return writer.addTensor(
                name, TensorType.I8, List.of((long) bytes), GgufWriter.TensorData.of(ByteBuffer.wrap(data)));
    }
}
