package io.talaria.sampling;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Finds stop strings in a text that comes in pieces. What may yet become a stop string is held back, so that none of it
 * is shown before that is known. Which stop string is found, and where, does not depend on how the text is cut: the one
 * that ends first and, of those that end together, the longest.
 *
 * <p>Not for use by several threads at once.
 */
public final class StopMatcher {
    private final List<Needle> needles = new ArrayList<>();
    private final StringBuilder held = new StringBuilder();
    private String found;

    /** @throws IllegalArgumentException if a stop string is empty or has half a character */
    public StopMatcher(List<String> stops) {
        for (String stop : stops) {
            check(stop);
            needles.add(new Needle(stop));
        }
    }

    /** @throws IllegalArgumentException if this cannot be a stop string */
    public static void check(String stop) {
        if (stop.isEmpty()) {
            throw new IllegalArgumentException("a stop string must not be empty");
        }
        if (!StandardCharsets.UTF_8.newEncoder().canEncode(stop)) {
            throw new IllegalArgumentException("a stop string has half a surrogate pair: \"" + stop + "\"");
        }
    }

    /** The next piece of the text in, and out what can be shown by now; often less, and after a stop string nothing. */
    public String accept(String piece) {
        if (found != null) {
            return "";
        }
        for (int i = 0; i < piece.length(); i++) {
            held.append(piece.charAt(i));
            int longest = advance(piece.charAt(i));
            if (found != null) {
                held.setLength(held.length() - longest);
                return finish();
            }
        }
        return release(held.length() - longestPrefix());
    }

    /** The end of the text: what is still held back. */
    public String finish() {
        return release(held.length());
    }

    /** The stop string that the text has come to, or null. */
    public String found() {
        return found;
    }

    /** Moves all needles on by a character. Returns the length of the longest that ends here, if one does. */
    private int advance(char c) {
        int longest = 0;
        for (Needle needle : needles) {
            if (needle.advance(c) && needle.text.length() > longest) {
                longest = needle.text.length();
                found = needle.text;
            }
        }
        return longest;
    }

    private int longestPrefix() {
        int longest = 0;
        for (Needle needle : needles) {
            longest = Math.max(longest, needle.matched);
        }
        return longest;
    }

    private String release(int length) {
        String text = held.substring(0, length);
        held.delete(0, length);
        return text;
    }

    /** One stop string, matched as Knuth, Morris and Pratt do it. */
    private static final class Needle {
        private final String text;
        /** For each length of a prefix, the longest shorter prefix that it ends with. */
        private final int[] fallback;
        /** The longest prefix that the text so far ends with. */
        private int matched;

        Needle(String text) {
            this.text = text;
            fallback = new int[text.length() + 1];
            for (int i = 1; i < text.length(); i++) {
                matched = fallback[i];
                advance(text.charAt(i));
                fallback[i + 1] = matched;
            }
            matched = 0;
        }

        /** True if the text ends with the stop string now. */
        boolean advance(char c) {
            while (matched > 0 && (matched == text.length() || text.charAt(matched) != c)) {
                matched = fallback[matched];
            }
            matched += text.charAt(matched) == c ? 1 : 0;
            return matched == text.length();
        }
    }
}
