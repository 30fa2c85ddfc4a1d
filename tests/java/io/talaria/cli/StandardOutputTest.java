package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StandardOutputTest {
    /** Takes some bytes and then fails; counts the attempts. */
    private static final class Failing extends OutputStream {
        private final String reason;
        private int room;
        private int failures;

        Failing(String reason, int room) {
            this.reason = reason;
            this.room = room;
        }

        @Override
        public void write(int b) throws IOException {
            if (room == 0) {
                failures++;
                throw new IOException(reason);
            }
            room--;
        }
    }

    private static Captured run(Failing output, String... args) {
        return Captured.of(() -> {
            System.setOut(new PrintStream(new StandardOutput(output), false, StandardCharsets.UTF_8));
            return Main.run(args);
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"run -p hi -n 2000000", "run --help", "devices --json", "--version"})
    void aReaderThatHasGoneEndsTheCommandWithoutAWord(String command) {
        Failing closed = new Failing("Broken pipe", 5);
        Captured result = run(closed, command.split(" "));
        assertEquals(ExitCode.UNREAD, result.code());
        assertEquals(1, closed.failures);
        assertFalse(result.err().contains("Exception") || result.err().contains("Broken pipe"), result.err());
    }

    @Test
    void aFullDiskGetsASentence() {
        Captured result = run(new Failing("No space left on device", 0), "devices");
        assertEquals(ExitCode.BAD_MODEL, result.code());
        assertTrue(
                result.err().contains("talaria: standard output cannot be written: No space left on device"),
                result.err());
    }
}
