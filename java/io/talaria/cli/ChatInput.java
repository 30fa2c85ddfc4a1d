package io.talaria.cli;

import java.io.IOException;

/** Where the messages of a conversation come from. */
interface ChatInput extends AutoCloseable {
    /** The next message or command as it was typed, which may have several lines; null at the end. */
    String next() throws IOException;

    /** Calls this whenever Ctrl-C is typed while no message is being asked for. */
    void onInterrupt(Runnable handler);

    @Override
    void close() throws IOException;
}
