package io.talaria.cli;

/** Text of a model, made safe for a terminal: no control character that could move, colour or type anything. */
final class TerminalText {
    private TerminalText() {}

    /** The text with all control characters but tab and line end shown as U+FFFD. */
    static String safe(String text) {
        StringBuilder safe = null;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (Character.isISOControl(c) && c != '\n' && c != '\t') {
                safe = safe == null ? new StringBuilder(text) : safe;
                safe.setCharAt(i, '\ufffd');
            }
        }
        return safe == null ? text : safe.toString();
    }
}
