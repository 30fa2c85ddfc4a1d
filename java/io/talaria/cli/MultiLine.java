package io.talaria.cli;

/**
 * Messages of several lines, as they are typed: a line that ends in a backslash goes on in the next, and what begins with
 * {@code """} goes on to the next {@code """} at the end of a line.
 */
final class MultiLine {
    private static final String QUOTES = "\"\"\"";

    private MultiLine() {}

    /** True if the lines so far want another one. */
    static boolean open(String lines) {
        String text = lines.strip().replaceFirst("^/\\w+\\s+(?=\"\"\")", ""); // the message of a command
        if (text.startsWith(QUOTES)) {
            return text.length() < 2 * QUOTES.length() || !text.endsWith(QUOTES);
        }
        return lines.endsWith("\\");
    }

    /** The message that the lines spell, without quotes, backslashes before line ends, and space around it. */
    static String message(String lines) {
        String text = lines.strip();
        if (!text.startsWith(QUOTES)) {
            return (text.endsWith("\\") ? text.substring(0, text.length() - 1) : text)
                    .replace("\\\n", "\n")
                    .strip();
        }
        int end = open(text) ? text.length() : text.length() - QUOTES.length();
        return text.substring(QUOTES.length(), end).strip();
    }
}
