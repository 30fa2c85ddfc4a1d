package io.talaria.cli;

/** The option {@code --threads} of commands that compute on the host. */
final class Threads {
    private static final int MAXIMUM = 1024;

    private Threads() {}

    /** The number that was written, or that of processors if none was. */
    static int checked(Integer threads) {
        if (threads == null) {
            return Runtime.getRuntime().availableProcessors();
        }
        if (threads < 1 || threads > MAXIMUM) {
            throw new BadArgumentException("--threads " + threads + ": write a number from 1 to " + MAXIMUM);
        }
        return threads;
    }
}
