package io.talaria.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What decides how fast the cpu device can be. */
final class Machine {
    private static final Pattern FLAGS = Pattern.compile("^flags\\s*:(.*)$", Pattern.MULTILINE);
    private static final Pattern CHOSEN = Pattern.compile("\\[(\\w+)]");

    private Machine() {}

    static String instructionSet() {
        String wanted = System.getenv().getOrDefault("TALARIA_CPU", "");
        return instructionSet(read("/proc/cpuinfo"), wanted);
    }

    /**
     * The instruction set whose kernels the cpu device takes, by the same rule as {@code kernels/cpu/int8_gemm.cpp}.
     *
     * @param cpuinfo what Linux says of the processors; empty elsewhere
     * @param wanted {@code avx2} or {@code portable} to take a lesser one, or empty
     */
    static String instructionSet(String cpuinfo, String wanted) {
        Matcher flags = FLAGS.matcher(cpuinfo);
        List<String> has = flags.find() ? Arrays.asList(flags.group(1).strip().split(" ")) : List.of();
        boolean avx2 = has.containsAll(List.of("avx2", "fma", "f16c")) && !wanted.equals("portable");
        boolean vnni = avx2 && has.containsAll(List.of("avx512_vnni", "avx512vl")) && !wanted.equals("avx2");
        return vnni ? "AVX-512 VNNI" : avx2 ? "AVX2" : "portable";
    }

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
