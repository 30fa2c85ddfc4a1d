package io.talaria.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.model.ExpertLayout;
import io.talaria.model.LoadProgress;
import io.talaria.quant.Recipe;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A loaded model takes its file's size, its KV cache and little more, and what was planned. */
class LoadMemoryTest {
    private static final long ALLOWANCE = 300_000_000;
    /** Of the Java heap and classes while loading. */
    private static final long JAVA = 100_000_000;

    private static final Pattern PRINTED = Pattern.compile(
            ".*file_bytes=(\\d+) kv_bytes=(\\d+) resident_bytes=(\\d+) before_bytes=(\\d+) planned_bytes=(\\d+)"
                    + " allocated_bytes=(\\d+)\\s*");

    @Test
    void residentMemoryIsTheFileAndTheCacheAndLittleMore(@TempDir Path folder) throws Exception {
        Assumptions.assumeTrue(Files.exists(Path.of("/proc/self/status")), "not tested: /proc is not here");
        Path model = folder.resolve("model.gguf");
        SyntheticShape shape = new SyntheticShape("300 MB", 1024, 3, 8, 2, 128, 3584, 8, 2, 8192, 4096);
        Synthesizer.write(model, shape, Recipe.of("Q8_0"), ExpertLayout.STACKED, LoadProgress.NONE);

        Matcher printed = PRINTED.matcher(probe(model));
        assertTrue(printed.matches(), "the probe printed something else");
        long file = Long.parseLong(printed.group(1));
        long resident = Long.parseLong(printed.group(3));
        assertTrue(file > ALLOWANCE, "a second copy of the weights must not fit into the allowance: " + file);
        assertTrue(resident > file, "the weights are not in memory: " + printed.group());
        long grown = resident - Long.parseLong(printed.group(4));
        long planned = Long.parseLong(printed.group(5));
        assertTrue(grown <= planned + JAVA, printed.group());
        assertTrue(planned <= grown + planned / 4, printed.group());
        assertTrue(Long.parseLong(printed.group(6)) <= planned, printed.group());
        assertTrue(resident <= file + Long.parseLong(printed.group(2)) + ALLOWANCE, printed.group());
    }

    /** What LoadProbe prints, in a Java with the launcher's settings. */
    private static String probe(Path model) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:+UseSerialGC",
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        LoadProbe.class.getName(),
                        model.toString(),
                        "cpu")
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), output);
        return output;
    }
}
