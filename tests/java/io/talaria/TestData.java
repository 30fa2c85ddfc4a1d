package io.talaria;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;

/**
 * Finds test data. A part of the golden data travels with the project; the rest, and the third-party vocabulary, is
 * read from a folder beside the checkout where that exists. A test whose file is in neither place is counted as skipped.
 */
public final class TestData {
    private static final Path BESIDE = Path.of("..", "shared");

    private TestData() {}

    /** A file of the golden data, or the test is skipped. */
    public static Path golden(String name) {
        Path own = Path.of("tests", "data", "golden").resolve(name);
        return Files.exists(own) ? own : orSkip(BESIDE.resolve("golden").resolve(name));
    }

    /** True if {@link #golden} would find this file. */
    public static boolean hasGolden(String name) {
        return Files.exists(Path.of("tests", "data", "golden").resolve(name))
                || Files.exists(BESIDE.resolve("golden").resolve(name));
    }

    /** A file of the third-party vocabulary data, or the test is skipped. */
    public static Path vocab(String name) {
        return orSkip(BESIDE.resolve("vocab").resolve(name));
    }

    private static Path orSkip(Path path) {
        if (!Files.exists(path)) {
            Assumptions.abort("not tested: " + path.getFileName() + " is not here");
        }
        return path;
    }
}
