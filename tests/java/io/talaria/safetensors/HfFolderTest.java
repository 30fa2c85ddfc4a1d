package io.talaria.safetensors;

import static io.talaria.safetensors.SafetensorsFault.*;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HfFolderTest {
    private static final int MUTATIONS = Integer.getInteger("talaria.safetensors.mutations", 5_000);

    @TempDir
    private Path folder;

    @BeforeEach
    void config() throws IOException {
        write("config.json", "{}");
    }

    private void write(String name, String text) throws IOException {
        Files.writeString(folder.resolve(name), text);
    }

    private void write(String name, SafetensorsBuilder builder) throws IOException {
        Files.write(folder.resolve(name), builder.build());
    }

    private void refused(SafetensorsFault fault, String sentence) {
        SafetensorsException e = assertThrows(
                SafetensorsException.class, () -> HfFolder.open(folder).close());
        assertEquals(fault, e.fault(), e.getMessage());
        assertTrue(e.getMessage().contains(sentence), e.getMessage());
        assertFalse(e.getMessage().contains("\n"), e.getMessage());
    }

    /** A file that is wrong in one way. */
    private void refused(SafetensorsFault fault, String sentence, Consumer<SafetensorsBuilder> change)
            throws IOException {
        SafetensorsBuilder builder = SafetensorsBuilder.small();
        change.accept(builder);
        write("model.safetensors", builder);
        refused(fault, sentence);
    }

    @Test
    void tensorsAreReadWhereTheyLie() throws IOException {
        byte[] bytes = new byte[24];
        new Random(1).nextBytes(bytes);
        SafetensorsBuilder builder = new SafetensorsBuilder()
                .tensor("first", TensorType.F16, List.of(3L), new byte[6])
                .tensor("second", TensorType.F32, List.of(2L, 3L), bytes);
        write("model.safetensors", builder);
        try (HfFolder opened = HfFolder.open(folder)) {
            SafetensorsTensor tensor = opened.tensor("second").orElseThrow();
            assertEquals(TensorType.F32, tensor.type());
            assertEquals(List.of(2L, 3L), tensor.shape());
            ByteBuffer read = ByteBuffer.allocate(20);
            opened.read(tensor, 4, read);
            assertArrayEquals(Arrays.copyOfRange(bytes, 4, 24), read.array());
            assertEquals(2, opened.tensors().size());
            assertThrows(IllegalArgumentException.class, () -> opened.read(tensor, 5, ByteBuffer.allocate(20)));
        }
    }

    @Test
    void headersThatContradictThemselvesAreRefused() throws IOException {
        refused(TRUNCATED, "ends at byte 53", b -> b.entries.get(2).end = "53");
        refused(OFFSETS_INVALID, "'c' lies at [33, 52]", b -> b.entries.get(2).begin = "33");
        refused(OFFSETS_INVALID, "something else than a count", b -> b.entries.get(0).begin = "-1");
        refused(OFFSETS_INVALID, "something else than a count", b -> b.entries.get(0).end = "24.0");
        refused(OFFSETS_INVALID, "something else than a count", b -> b.entries.get(0).end = "1" + "0".repeat(30));
        refused(OFFSETS_INVALID, "has 3 offsets", b -> b.entries.get(0).end = "24,25");
        refused(OVERLAP, "'b.weight' begins inside", b -> {
            b.entries.get(1).begin = "20";
            b.entries.get(1).end = "28";
        });
        refused(GAP, "has 8 bytes before it", b -> b.entries.remove(1));
        refused(SURPLUS, "has 20 bytes behind", b -> b.entries.remove(2));
        refused(SHAPE_INVALID, "dimension of zero", b -> b.entries.get(0).shape = "[2,0]");
        refused(SHAPE_INVALID, "no list 'shape'", b -> b.entries.get(0).shape = "6");
        refused(
                SHAPE_INVALID,
                "more bytes than a file",
                b -> b.entries.get(0).shape = "[" + Long.MAX_VALUE + "," + Long.MAX_VALUE + "]");
        refused(SHAPE_INVALID, "9 dimensions", b -> b.entries.get(0).shape = "[1,1,1,1,1,1,1,2,3]");
        refused(DTYPE_UNSUPPORTED, "'F8_E4M3'", b -> b.entries.get(0).dtype = "\"F8_E4M3\"");
        refused(JSON_TYPE, "has no type", b -> b.entries.get(0).dtype = "7");
        refused(JSON_INVALID, "uplicate", b -> b.entries.get(1).name = "a");
        refused(JSON_INVALID, "invalid", b -> b.after = "");
        refused(JSON_INVALID, "invalid", b -> b.after = "}{}");
        refused(JSON_INVALID, "epth", b -> b.entries.get(0).shape = "[".repeat(50) + "]".repeat(50));
        refused(JSON_INVALID, "oken", b -> b.entries.get(0).shape = "[" + "1,".repeat(1_000_000) + "1]");
        refused(JSON_TYPE, "not an object", b -> {
            b.before = "[1";
            b.entries.clear();
            b.after = "]";
        });
        refused(JSON_TOO_LARGE, "18446744073709551615 bytes", b -> b.headerLength = -1L);
        refused(JSON_TOO_LARGE, "more than", b -> b.headerLength = 16L + (16 << 20));
        refused(TRUNCATED, "where the file has", b -> b.headerLength = 1_000_000L);
    }

    @Test
    void foldersThatAreNoneAreRefused() throws IOException {
        refused(NOT_A_MODEL_FOLDER, "neither model.safetensors nor model.safetensors.index.json");
        write("pytorch_model.bin.index.json", "{}");
        refused(NOT_A_MODEL_FOLDER, "pytorch_model*.bin are programs");
        Files.createDirectory(folder.resolve("model.safetensors"));
        refused(NOT_A_FILE, "not a regular file");
        Files.delete(folder.resolve("config.json"));
        refused(NOT_A_MODEL_FOLDER, "there is no config.json");
        SafetensorsException e =
                assertThrows(SafetensorsException.class, () -> HfFolder.open(folder.resolve("nothing")));
        assertTrue(e.getMessage().contains("not a folder"), e.getMessage());
    }

    @Test
    void shardsMustBeWhatTheIndexSays() throws IOException {
        String index = "model.safetensors.index.json";
        write("x-1.safetensors", SafetensorsBuilder.small());
        write("x-2.safetensors", new SafetensorsBuilder().tensor("d", TensorType.F32, List.of(1L), new byte[4]));
        String entries = "\"a\":\"x-1.safetensors\",\"b.weight\":\"x-1.safetensors\",\"c\":\"x-1.safetensors\"";
        write(index, "{\"weight_map\":{" + entries + ",\"d\":\"x-2.safetensors\"}}");
        try (HfFolder opened = HfFolder.open(folder)) {
            assertEquals(4, opened.tensors().size());
            opened.read(opened.tensor("d").orElseThrow(), 0, ByteBuffer.allocate(4));
        }
        write(index, "{\"weight_map\":{" + entries + ",\"d\":\"x-1.safetensors\"}}");
        refused(INDEX_MISMATCH, "'d' is not in x-1.safetensors");
        write(index, "{\"weight_map\":{" + entries + ",\"e\":\"x-2.safetensors\"}}");
        refused(INDEX_MISMATCH, "does not say that tensor 'd' lies in x-2.safetensors");
        write(index, "{\"weight_map\":{" + entries + ",\"d\":\"x-3.safetensors\"}}");
        refused(FILE_MISSING, "x-3.safetensors: there is no such file");
        for (String outside : List.of("../x.safetensors", "/etc/x.safetensors", "a\\\\b.safetensors", "x.bin", "")) {
            write(index, "{\"weight_map\":{" + entries + ",\"d\":\"" + outside + "\"}}");
            refused(SHARD_NAME, "no plain name");
        }
        write(index, "{\"weight_map\":{" + entries + ",\"d\":7}}");
        refused(SHARD_NAME, "no plain name");
        write(index, "{\"weight_map\":[]}");
        refused(JSON_TYPE, "no object 'weight_map'");
        write("x-2.safetensors", SafetensorsBuilder.small());
        write(index, "{\"weight_map\":{" + entries + ",\"d\":\"x-2.safetensors\"}}");
        refused(INDEX_MISMATCH, "'a' is in another file of the folder too");
    }

    @Test
    void everyCutIsRefused() throws IOException {
        byte[] file = SafetensorsBuilder.small().build();
        for (int length = 0; length < file.length; length++) {
            Files.write(folder.resolve("model.safetensors"), Arrays.copyOf(file, length));
            SafetensorsException e = assertThrows(
                    SafetensorsException.class, () -> HfFolder.open(folder).close(), "at " + length);
            assertEquals(TRUNCATED, e.fault(), e.getMessage());
        }
    }

    /** Files with random faults are refused with a fault, or opened with every place inside the file. */
    @Test
    void mutatedFilesAreRefusedOrSound() throws IOException {
        Random random = new Random(20_240_131);
        Map<SafetensorsFault, Integer> refusals = new EnumMap<>(SafetensorsFault.class);
        int accepted = 0;
        for (int i = 0; i < MUTATIONS; i++) {
            byte[] file = mutated(random);
            // Written anew, because some file systems flush a file that is replaced in place.
            Files.deleteIfExists(folder.resolve("model.safetensors"));
            Files.write(folder.resolve("model.safetensors"), file);
            try (HfFolder opened = HfFolder.open(folder)) {
                for (SafetensorsTensor tensor : opened.tensors()) {
                    assertTrue(tensor.position() + tensor.bytes() <= file.length, tensor.toString());
                    opened.read(tensor, tensor.bytes() - 1, ByteBuffer.allocate(1));
                }
                accepted++;
            } catch (SafetensorsException e) {
                refusals.merge(e.fault(), 1, Integer::sum);
            } catch (IOException | RuntimeException e) {
                throw new AssertionError("file " + i, e);
            }
        }
        // Mutations that only ever reach a few of the checks would show little.
        assertTrue(accepted > MUTATIONS / 50 && refusals.size() >= 9, accepted + " accepted, " + refusals);
        System.out.println(MUTATIONS + " mutated files: " + accepted + " accepted, refused " + refusals);
    }

    private static byte[] mutated(Random random) {
        SafetensorsBuilder builder = SafetensorsBuilder.small();
        String[] values = {
            "0", "1", "24", "32", "52", "4", "-1", "1e3", "[]", "null", "[2,3]", "[6]", "\"F32\"", "\"U8\""
        };
        for (int edits = random.nextInt(3); edits >= 0; edits--) {
            SafetensorsBuilder.Entry entry = builder.entries.get(random.nextInt(builder.entries.size()));
            String value = random.nextInt(4) == 0
                    ? Long.toString(random.nextLong() >> random.nextInt(64))
                    : values[random.nextInt(values.length)];
            switch (random.nextInt(10)) {
                case 0 ->
                    entry.name =
                            List.of("a", "b.weight", "c", "__metadata__", "").get(random.nextInt(5));
                case 1 -> entry.dtype = value;
                case 2 -> entry.shape = value;
                case 3 -> entry.begin = value;
                case 4 -> entry.end = value;
                case 5 -> builder.headerLength = random.nextLong() >> random.nextInt(64);
                case 6 -> builder.entries.removeIf(other -> other == entry && builder.entries.size() > 1);
                case 7, 8 -> move(entry, random.nextInt(9) - 4);
                default -> builder.after = " ".repeat(random.nextInt(9)) + "}";
            }
        }
        byte[] file = builder.build();
        if (random.nextInt(3) == 0) {
            file[random.nextInt(file.length)] ^= (byte) (1 << random.nextInt(8));
        }
        return file;
    }

    /** Keeps a tensor's length and changes its place. */
    private static void move(SafetensorsBuilder.Entry entry, int bytes) {
        if (entry.begin.matches("\\d{1,3}") && entry.end.matches("\\d{1,3}")) {
            entry.begin = Integer.toString(Integer.parseInt(entry.begin) + bytes);
            entry.end = Integer.toString(Integer.parseInt(entry.end) + bytes);
        }
    }
}
