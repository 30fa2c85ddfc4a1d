package io.talaria.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.quant.TensorType;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** A valid file with a header of 4 KiB, cut at every byte. */
class TruncationTest {
    private static final Set<GgufFault> EXPECTED =
            EnumSet.of(GgufFault.FILE_EMPTY, GgufFault.HEADER_TRUNCATED, GgufFault.TENSOR_OUTSIDE_FILE);

    @Test
    void everyCutIsRefused() throws IOException {
        byte[] file = file();
        GgufReader.read("cut.gguf", new ArraySource(file), 0);
        int refused = assertTimeoutPreemptively(Duration.ofSeconds(60), () -> {
            int count = 0;
            for (int length = 0; length < file.length; length++) {
                ArraySource source = new ArraySource(Arrays.copyOf(file, length));
                GgufException refusal =
                        assertThrows(GgufException.class, () -> GgufReader.read("cut.gguf", source, 0), "at " + length);
                assertTrue(EXPECTED.contains(refusal.fault()), refusal.getMessage());
                count++;
            }
            return count;
        });
        assertEquals(file.length, refused);
        System.out.println(refused + " of " + file.length + " truncated files refused");
    }

    private static byte[] file() {
        GgufBuilder builder = GgufBuilder.small();
        for (int i = 0; i < 30; i++) {
            builder.tensor("blk." + i + ".weight", TensorType.Q8_0, 64, 4);
        }
        int missing = 4096 - builder.header().length;
        builder.key("general.description", GgufBuilder.STRING, GgufBuilder.text("d".repeat(missing - 39)));
        assertEquals(4096, builder.header().length);
        return builder.build();
    }
}
