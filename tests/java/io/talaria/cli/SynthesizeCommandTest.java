package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SynthesizeCommandTest {
    @TempDir
    private Path folder;

    private Captured refused(int code, String sentence, String... args) {
        Captured result = Captured.run(args);
        assertEquals(code, result.code(), result.err());
        assertTrue(result.err().contains(sentence), result.err());
        assertEquals(1, result.err().lines().count(), result.err());
        assertEquals("", result.out());
        return result;
    }

    private long files() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.count();
        }
    }

    @Test
    void whatIsNoPlaceForAFileIsRefusedAtOnce() throws IOException {
        refused(2, " is a folder", "synthesize", folder.toString(), "--shape", "nano");
        refused(2, "/dev/null is no regular file", "synthesize", "/dev/null", "--shape", "nano");
        refused(2, "there is no folder /nowhere", "synthesize", "/nowhere/x.gguf", "--shape", "nano");
        assertTrue(Files.exists(Path.of("/dev/null")));
        assertEquals(0, files());
    }

    @Test
    void aModelThatTheDiskCannotHoldIsRefusedAtOnce() throws IOException {
        String out = folder.resolve("x.gguf").toString();
        String shape = "65536,32,64,64,256,1048576,512,2,512,64"; // some 4 petabytes
        refused(3, " GB are needed and ", "synthesize", out, "--shape", shape, "--format", "Q8_0");
        assertEquals(0, files());
    }

    @Test
    void anExistingFileIsReplaced() throws IOException {
        Path out = folder.resolve("x.gguf");
        Files.writeString(out, "old");
        Captured result = Captured.run("synthesize", out.toString(), "--shape", "nano", "--layers", "1");
        assertEquals(0, result.code(), result.err());
        assertTrue(result.out().startsWith(out + ": 1"), result.out());
        assertEquals(0, Captured.run("info", out.toString()).code());
        assertEquals(1, files());
    }
}
