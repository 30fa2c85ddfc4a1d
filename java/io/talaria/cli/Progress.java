package io.talaria.cli;

/** How far something slow is, on standard error: nothing if it ends within two seconds. */
final class Progress {
    private static final long PATIENCE_NANOS = 2_000_000_000L;
    private static final long TERMINAL_INTERVAL = 100_000_000L;
    private static final long LOG_INTERVAL = 5_000_000_000L;
    private static final int WIDTH = 30;
    /** The launcher sets it where standard error is a terminal. */
    private static final boolean TERMINAL = Boolean.getBoolean("talaria.terminal");

    private final String what;
    private final long begin = System.nanoTime();
    private long next = begin + PATIENCE_NANOS;
    private boolean shown;

    Progress(String what) {
        this.what = what;
    }

    /** So much of the whole is done. */
    void at(long done, long total) {
        long now = System.nanoTime();
        if (done >= total) {
            end();
        } else if (now >= next) {
            next = now + (TERMINAL ? TERMINAL_INTERVAL : LOG_INTERVAL);
            show(done, total, now - begin);
        }
    }

    private void show(long done, long total, long nanos) {
        double share = total == 0 ? 1 : (double) done / total;
        int filled = (int) (WIDTH * share);
        String bar = "█".repeat(filled) + "░".repeat(WIDTH - filled);
        String line = "%s %s %3.0f %%, %.0f s".formatted(what, bar, 100 * share, nanos / 1e9);
        System.err.print(TERMINAL ? "\r" + line + "\r" : line + "\n");
        System.err.flush();
        shown = true;
    }

    private void end() {
        if (shown && TERMINAL) {
            System.err.print("\r" + " ".repeat(what.length() + WIDTH + 24) + "\r");
            System.err.flush();
        }
        shown = false;
    }
}
