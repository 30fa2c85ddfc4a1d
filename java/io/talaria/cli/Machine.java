package io.talaria.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What decides how fast the cpu device can be. */
final class Machine {
    private static final Pattern CHOSEN = Pattern.compile("\\[(\\w+)]");

    private Machine() {}

    static String hugePages() {
        return hugePages(read("/sys/kernel/mm/transparent_hugepage/enabled"));
    }

    /** @param setting what Linux says of transparent huge pages, such as {@code always [madvise] never} */
    static String hugePages(String setting) {
        Matcher chosen = CHOSEN.matcher(setting);
        if (!chosen.find()) {
            return "unknown";
        }
        return switch (chosen.group(1).toLowerCase(Locale.ROOT)) {
            case "always", "madvise" -> "available (" + chosen.group(1) + ")";
            default ->
                "not available: as root, write madvise to /sys/kernel/mm/transparent_hugepage/enabled for faster reads";
        };
    }

    private static String read(String file) {
        try {
            return Files.readString(Path.of(file));
        } catch (IOException e) {
            return ""; // not on this system
        }
    }
}
