package io.talaria.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.talaria.TestData;
import io.talaria.backend.TensorSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Experts in tensors of their own read like one tensor, wherever a read begins and ends. */
class GgufSourceTest {
    private static byte[] read(TensorSource source, long offset, int length) throws IOException {
        byte[] bytes = new byte[length];
        source.read(offset, ByteBuffer.wrap(bytes));
        return bytes;
    }

    @Test
    void anyRangeOfSplitExpertsIsThatOfTheStackedTensor() throws IOException {
        Random random = new Random(3);
        try (Model stacked = Model.open(TestData.golden("nano-Q4_K_M.gguf"));
                Model split = Model.open(TestData.golden("nano-split-Q4_K_M.gguf"))) {
            TensorSource whole = stacked.weights().layers().get(1).up();
            TensorSource parts = split.weights().layers().get(1).up();
            int bytes = Math.toIntExact(whole.type().bytes(whole.shape().elements()));
            byte[] all = read(whole, 0, bytes);
            for (int i = 0; i < 500; i++) {
                int from = random.nextInt(bytes);
                int length = random.nextInt(Math.min(bytes - from, 100_000));
                assertArrayEquals(
                        Arrays.copyOfRange(all, from, from + length), read(parts, from, length), from + " +" + length);
            }
            assertThrows(RuntimeException.class, () -> read(parts, bytes - 1L, 2));
        }
    }
}
