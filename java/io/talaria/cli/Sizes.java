package io.talaria.cli;

import java.util.Locale;

/** Numbers for people. */
final class Sizes {
    private Sizes() {}

    /** Bytes in decimal units, as disks and memory bandwidths are sold. */
    static String bytes(long bytes) {
        return scaled(bytes, "B", new String[] {"KB", "MB", "GB", "TB"});
    }

    /** A count: 46.7 B for billions. */
    static String count(long count) {
        return scaled(count, "", new String[] {"K", "M", "B", "T"});
    }

    private static String scaled(long number, String unit, String[] prefixes) {
        double value = number;
        String used = unit;
        for (int i = 0; i < prefixes.length && value >= 1000; i++) {
            value /= 1000;
            used = prefixes[i];
        }
        String text = String.format(Locale.ROOT, value == Math.rint(value) && value < 1000 ? "%.0f" : "%.2f", value);
        return used.isEmpty() ? text : text + " " + used;
    }
}
