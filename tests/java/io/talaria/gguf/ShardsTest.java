package io.talaria.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.TestData;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Models in several files. */
class ShardsTest {
    @TempDir
    Path folder;

    @Test
    void splitModelReadsLikeTheWhole() throws IOException {
        try (GgufFile whole = GgufFile.open(TestData.golden("nano-Q4_K_M.gguf"))) {
            int third = whole.tensors().size() / 3;
            for (int i = 0; i < 3; i++) {
                GgufWriter writer = new GgufWriter();
                if (i == 0) {
                    writer.putAll(whole.metadata());
                }
                splitKeys(writer, i, 3, whole.tensors().size());
                int end = i == 2 ? whole.tensors().size() : (i + 1) * third;
                for (GgufTensor tensor : whole.tensors().subList(i * third, end)) {
                    GgufWriter.TensorData data = GgufWriter.TensorData.copyOf(whole, tensor);
                    writer.addTensor(tensor.name(), tensor.type(), tensor.shape(), data);
                }
                writer.write(shard(i + 1, 3));
            }
            try (GgufFile split = GgufFile.open(shard(1, 3))) {
                assertEquals(List.of(shard(1, 3), shard(2, 3), shard(3, 3)), split.paths());
                long bytes = Files.size(shard(1, 3)) + Files.size(shard(2, 3)) + Files.size(shard(3, 3));
                assertEquals(bytes, split.fileBytes());
                assertEquals(2, split.tensors().get(22).shard());
                for (GgufTensor tensor : whole.tensors()) {
                    GgufTensor same = split.tensor(tensor.name()).orElseThrow();
                    assertEquals(
                            ByteBuffer.wrap(GoldenFilesTest.data(whole, tensor)),
                            ByteBuffer.wrap(GoldenFilesTest.data(split, same)));
                }
                split.verifyLength();
            }
        }
    }

    @Test
    void shardsWithoutSplitKeysAreAccepted() throws IOException {
        tensor(new GgufWriter(), "a").write(shard(1, 2));
        tensor(new GgufWriter(), "b").write(shard(2, 2));
        try (GgufFile file = GgufFile.open(shard(1, 2))) {
            assertEquals(2, file.tensors().size());
        }
    }

    @Test
    void singleShardAndJoinedModelAreAccepted() throws IOException {
        tensor(splitKeys(new GgufWriter(), 0, 1, 1), "a").write(shard(1, 1));
        GgufFile.open(shard(1, 1)).close();
        Path joined = folder.resolve("joined.gguf");
        tensor(splitKeys(new GgufWriter(), 0, 0, 1), "a").write(joined);
        GgufFile.open(joined).close();
    }

    @Test
    void missingShardIsNamed() throws IOException {
        writeTwo(2, 2);
        Files.delete(shard(2, 2));
        assertRefused(shard(1, 2), GgufFault.SHARD_MISSING, shard(2, 2).toString());
    }

    @Test
    void laterShardNamesTheFirst() throws IOException {
        writeTwo(2, 2);
        assertRefused(shard(2, 2), GgufFault.SHARD_NOT_FIRST, "model-00001-of-00002.gguf");
    }

    @Test
    void impossibleNumbersInTheNameAreRefused() throws IOException {
        for (String name : List.of("m-00003-of-00002.gguf", "m-00000-of-00002.gguf", "m-00001-of-99999.gguf")) {
            Path path = folder.resolve(name);
            tensor(new GgufWriter(), "a").write(folder.resolve("plain.gguf"));
            Files.move(folder.resolve("plain.gguf"), path);
            assertRefused(path, GgufFault.SHARD_NAME, "shard");
        }
    }

    @Test
    void statedCountsMustFit() throws IOException {
        writeTwo(3, 2);
        assertRefused(shard(1, 2), GgufFault.SHARD_MISMATCH, "'split.count' says 3");
        writeTwo(2, 5);
        assertRefused(shard(1, 2), GgufFault.SHARD_MISMATCH, "'split.tensors.count' says 5");
        writeTwo(2, 2);
        GgufFile.open(shard(1, 2)).close();
        tensor(splitKeys(new GgufWriter(), 0, 2, 2), "b").write(shard(2, 2));
        assertRefused(shard(1, 2), GgufFault.SHARD_MISMATCH, "'split.no' says 0");
    }

    @Test
    void tensorInTwoShardsIsRefused() throws IOException {
        writeTwo(2, 2);
        tensor(splitKeys(new GgufWriter(), 1, 2, 2), "a").write(shard(2, 2));
        assertRefused(shard(1, 2), GgufFault.TENSOR_DUPLICATE, "'a' is also in an earlier shard");
    }

    @Test
    void renamedShardIsRefused() throws IOException {
        writeTwo(2, 2);
        Path renamed = folder.resolve("renamed.gguf");
        Files.move(shard(1, 2), renamed);
        assertRefused(renamed, GgufFault.SHARD_NAME, "one of 2 shards");
    }

    @Test
    void brokenLaterShardIsNamed() throws IOException {
        writeTwo(2, 2);
        Files.write(shard(2, 2), new byte[] {1, 2, 3, 4, 5});
        assertRefused(shard(1, 2), GgufFault.BAD_MAGIC, "model-00002-of-00002.gguf: ");
    }

    @Test
    void tensorsOfAllShardsTogetherAreLimited() throws IOException {
        for (int i = 1; i <= 2; i++) {
            GgufWriter writer = new GgufWriter();
            for (int k = 0; k < 5001; k++) {
                tensor(writer, i + "." + k);
            }
            writer.write(shard(i, 2));
        }
        assertRefused(shard(1, 2), GgufFault.TOO_MANY_TENSORS, "10002 tensors");
    }

    private void writeTwo(int count, int tensors) throws IOException {
        tensor(splitKeys(new GgufWriter(), 0, count, tensors), "a").write(shard(1, 2));
        tensor(splitKeys(new GgufWriter(), 1, count, tensors), "b").write(shard(2, 2));
    }

    private static GgufWriter splitKeys(GgufWriter writer, int number, int count, int tensors) {
        return writer.putInteger("split.no", GgufValueType.UINT16, number)
                .putInteger("split.count", GgufValueType.UINT16, count)
                .putInteger("split.tensors.count", GgufValueType.INT32, tensors);
    }

    private static GgufWriter tensor(GgufWriter writer, String name) {
        return writer.addTensor(name, TensorType.F32, List.of(2L), GgufWriter.TensorData.of(ByteBuffer.allocate(8)));
    }

    private Path shard(int number, int count) {
        return folder.resolve(String.format("model-%05d-of-%05d.gguf", number, count));
    }

    private static void assertRefused(Path path, GgufFault fault, String fragment) {
        GgufException refusal = assertThrows(GgufException.class, () -> GgufFile.open(path));
        assertEquals(fault, refusal.fault(), refusal.getMessage());
        assertTrue(refusal.getMessage().contains(fragment), refusal.getMessage());
    }
}
