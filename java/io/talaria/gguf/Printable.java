package io.talaria.gguf;

import java.nio.file.Path;

/** Names out of a file, made safe to show in a message or on a terminal. */
public final class Printable {
    /** A longer name is cut to this many characters. */
    public static final int MAX_CHARACTERS = 80;

    private static final int MAX_PATH_CHARACTERS = 4096;
    private static final String CUT = "...";

    private Printable() {}

    /** The name in quotes, control and formatting characters escaped, cut to {@value #MAX_CHARACTERS} characters. */
    public static String name(String name) {
        return '\'' + escape(name, MAX_CHARACTERS) + '\'';
    }

    /** The path without control characters. */
    public static String path(Path path) {
        return escape(path.toString(), MAX_PATH_CHARACTERS);
    }

    private static String escape(String text, int maximum) {
        StringBuilder out = new StringBuilder(Math.min(text.length(), maximum));
        int fitting = 0;
        for (int i = 0; i < text.length(); ) {
            int codePoint = text.codePointAt(i);
            i += Character.charCount(codePoint);
            if (visible(codePoint)) {
                out.appendCodePoint(codePoint);
            } else {
                out.append("\\u{").append(Integer.toHexString(codePoint)).append('}');
            }
            if (out.length() > maximum) {
                out.setLength(fitting);
                return out.append(CUT).toString();
            }
            if (out.length() <= maximum - CUT.length()) {
                fitting = out.length();
            }
        }
        return out.toString();
    }

    // Formatting characters are escaped too: they can reverse the reading direction of the rest of the message.
    private static boolean visible(int codePoint) {
        return switch (Character.getType(codePoint)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED -> false;
            default -> true;
        };
    }
}
