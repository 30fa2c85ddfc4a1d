package io.talaria.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jline.reader.EOFError;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.ParsedLine;
import org.jline.reader.UserInterruptException;
import org.jline.reader.impl.DefaultParser;
import org.jline.reader.impl.completer.StringsCompleter;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;

/** Messages typed at a terminal, with line editing and a history that outlives the program. */
final class TerminalInput implements ChatInput {
    private static final String PROMPT = "> ";
    private static final String NEXT_LINE = ". ";
    private static final int HISTORY_ENTRIES = 1000;
    /** JLine's; referred to here, as loggers that nobody refers to forget their level. */
    private static final Logger WARNINGS = Logger.getLogger("org.jline");

    private final Terminal terminal;
    private final LineReader reader;

    private TerminalInput(Terminal terminal, LineReader reader) {
        this.terminal = terminal;
        this.reader = reader;
    }

    /** Takes over the terminal of the process until it is closed. */
    static TerminalInput open(List<String> commands) throws IOException {
        WARNINGS.setLevel(Level.OFF); // a history that cannot be written is no reason to disturb anyone
        // Without asking the terminal what it can, whose answers may come late and look typed.
        Terminal terminal =
                TerminalBuilder.builder().system(true).graphemeCluster(false).build();
        return over(terminal, commands, ChatHistory.file());
    }

    /** @param history the file that keeps what was typed, if there is one */
    static TerminalInput over(Terminal terminal, List<String> commands, Optional<Path> history) {
        LineReaderBuilder builder = LineReaderBuilder.builder()
                .terminal(terminal)
                .appName("talaria")
                .parser(new Lines())
                .completer(new StringsCompleter(commands))
                .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true) // an exclamation mark is one
                .option(LineReader.Option.HISTORY_TIMESTAMPED, false)
                .variable(LineReader.SECONDARY_PROMPT_PATTERN, NEXT_LINE)
                .variable(LineReader.HISTORY_SIZE, HISTORY_ENTRIES)
                .variable(LineReader.HISTORY_FILE_SIZE, HISTORY_ENTRIES);
        history.ifPresent(file -> builder.variable(LineReader.HISTORY_FILE, file));
        return new TerminalInput(terminal, builder.build());
    }

    @Override
    public String next() {
        boolean again = false;
        while (true) {
            try {
                return reader.readLine(PROMPT);
            } catch (UserInterruptException e) {
                if (again && e.getPartialLine().isEmpty()) {
                    return null;
                }
                again = true;
                System.err.println("Ctrl-C again, or Ctrl-D, ends the conversation.");
            } catch (EndOfFileException e) {
                return null;
            }
        }
    }

    @Override
    public void onInterrupt(Runnable handler) {
        terminal.handle(Terminal.Signal.INT, signal -> handler.run());
    }

    @Override
    public void close() throws IOException {
        terminal.close();
    }

    /** Words without quotes or escapes, which a message may hold in any number; knows when another line is wanted. */
    private static final class Lines extends DefaultParser {
        Lines() {
            setQuoteChars(new char[0]);
            setEscapeChars(new char[0]);
        }

        @Override
        public ParsedLine parse(String line, int cursor, ParseContext context) {
            if (context == ParseContext.ACCEPT_LINE && MultiLine.open(line)) {
                throw new EOFError(-1, -1, "another line is wanted");
            }
            return super.parse(line, cursor, context);
        }
    }
}
