package io.talaria.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;

/**
 * The process's standard output. A {@link java.io.PrintStream} over it would hide that nobody reads any more, or that the
 * disk is full, and a command would go on for nobody: here the first failure is thrown, and what follows is dropped.
 */
final class StandardOutput extends OutputStream {
    private final OutputStream out;
    private boolean failed;

    /** Nothing more can be written. */
    static final class ClosedException extends RuntimeException {
        private static final long serialVersionUID = 1L;

        private final boolean unread;

        private ClosedException(IOException cause) {
            super("standard output cannot be written: " + cause.getMessage(), cause);
            this.unread = "Broken pipe".equals(cause.getMessage());
        }

        /** True if its reader has gone, as {@code head} does when it has enough. */
        boolean unread() {
            return unread;
        }
    }

    StandardOutput() {
        this(new FileOutputStream(FileDescriptor.out));
    }

    StandardOutput(OutputStream out) {
        this.out = out;
    }

    @Override
    public void write(int b) {
        write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) {
        if (failed) {
            return;
        }
        try {
            out.write(bytes, offset, length);
        } catch (IOException e) {
            failed = true;
            throw new ClosedException(e);
        }
    }
}
