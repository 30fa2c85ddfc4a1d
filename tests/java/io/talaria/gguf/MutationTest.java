package io.talaria.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGeneratorFactory;
import org.junit.jupiter.api.Test;

/** Files with random faults are either refused with a fault or opened with every number inside its bounds. */
class MutationTest {
    private static final int FILES = Integer.getInteger("talaria.gguf.mutations", 100_000);
    private static final long SEED = 20_240_131;

    private final Map<GgufFault, Integer> refusals = new EnumMap<>(GgufFault.class);
    private int accepted;

    @Test
    void mutatedFilesAreRefusedOrSound() {
        assertTimeoutPreemptively(Duration.ofSeconds(120 + FILES / 1_000), () -> {
            Mutator mutator =
                    new Mutator(RandomGeneratorFactory.of("L64X128MixRandom").create(SEED));
            for (int i = 0; i < FILES; i++) {
                tryFile(mutator.next(), i);
            }
        });
        int refused = refusals.values().stream().mapToInt(Integer::intValue).sum();
        assertEquals(FILES, accepted + refused);
        // A mutator that only ever reaches a few of the checks would show little.
        assertTrue(accepted > FILES / 20 && refusals.size() >= 20, accepted + " accepted, " + refusals);
        System.out.println(FILES + " mutated files: " + accepted + " accepted, 0 uncaught, refused " + refusals);
    }

    private void tryFile(byte[] bytes, int number) {
        try (GgufFile file = GgufFile.of(List.of(Path.of("m.gguf")), List.of(new ArraySource(bytes)))) {
            assertSound(file, bytes.length);
            accepted++;
        } catch (GgufException e) {
            refusals.merge(e.fault(), 1, Integer::sum);
        } catch (IOException | RuntimeException e) {
            throw new AssertionError("file " + number + " of seed " + SEED, e);
        }
    }

    private static void assertSound(GgufFile file, long length) throws IOException {
        long end = 0;
        for (GgufTensor tensor : file.tensors()) {
            assertTrue(tensor.position() >= end && tensor.bytes() > 0, tensor.toString());
            end = tensor.position() + tensor.bytes();
            assertTrue(end <= length, tensor.toString());
            assertEquals(tensor.bytes(), tensor.type().bytes(tensor.elements()));
            file.read(tensor, tensor.bytes() - 1, ByteBuffer.allocate(1));
        }
        GgufMetadata metadata = file.metadata();
        for (String key : metadata.keys()) {
            Object value = metadata.value(key);
            if (value instanceof List<?> list) {
                list.forEach(element -> assertTrue(element != null));
            }
        }
    }
}
