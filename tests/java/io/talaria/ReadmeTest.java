package io.talaria;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The programs in README.md, run as it says: a plain class path, no system properties, a small heap. */
class ReadmeTest {
    private static final Pattern PROGRAM = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
    private static final Pattern NAME = Pattern.compile("class (\\w+)");

    @TempDir
    private Path folder;

    static Stream<String> programs() throws IOException {
        return PROGRAM.matcher(Files.readString(Path.of("README.md")))
                .results()
                .map(MatchResult::group)
                .map(block -> block.substring("```java\n".length(), block.length() - "```".length()));
    }

    @ParameterizedTest
    @MethodSource("programs")
    void programsRun(String program) throws Exception {
        Matcher name = NAME.matcher(program);
        assertTrue(name.find());
        Path source = Files.writeString(folder.resolve(name.group(1) + ".java"), program);
        Path out = folder.resolve("out");
        Path err = folder.resolve("err");
        Process java = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx256m",
                        "-cp",
                        String.join(File.pathSeparator, "target/classes", "target/lib/*"),
                        source.toString(),
                        TestData.golden("nano-Q4_K_M.gguf").toString())
                .redirectOutput(out.toFile())
                .redirectError(err.toFile())
                .start();
        assertEquals(0, java.waitFor(), Files.readString(err));
        assertFalse(Files.readAllBytes(out).length == 0, "it has answered nothing");
    }
}
