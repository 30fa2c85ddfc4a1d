package io.talaria.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/** Messages from a file or pipe: one per line, or several lines as {@link MultiLine} has them. No prompt is printed. */
final class StreamInput implements ChatInput {
    private final BufferedReader lines;

    StreamInput(InputStream in) {
        this.lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
    }

    @Override
    public String next() throws IOException {
        String text = lines.readLine();
        while (text != null && MultiLine.open(text)) {
            String line = lines.readLine();
            if (line == null) {
                break;
            }
            text += "\n" + line;
        }
        return text;
    }

    /** There are no keys here: Ctrl-C ends the program. */
    @Override
    public void onInterrupt(Runnable handler) {}

    /** Leaves the stream open: it is the process's own. */
    @Override
    public void close() {}
}
