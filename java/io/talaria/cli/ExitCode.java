package io.talaria.cli;

/** What the process returns. */
final class ExitCode {
    static final int OK = 0;
    static final int CHECK_FAILED = 1;
    static final int BAD_ARGUMENTS = 2;
    static final int BAD_MODEL = 3;
    static final int NO_DEVICE = 4;
    static final int DEVICE_LOST = 70;
    /** What shells report of a program that SIGPIPE ended: nobody reads the output any more. */
    static final int UNREAD = 141;

    private ExitCode() {}
}
