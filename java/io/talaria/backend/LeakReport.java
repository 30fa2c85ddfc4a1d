package io.talaria.backend;

import java.lang.ref.Cleaner;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Says when something that has to be closed was dropped instead. It frees nothing: device memory belongs to whoever opened
 * the device, and a collector that frees it at its own time hides the mistake until the day it does not run.
 */
public final class LeakReport {
    private static final System.Logger LOG = System.getLogger(LeakReport.class.getName());
    private static final Cleaner CLEANER = Cleaner.create();
    private static final AtomicInteger DROPPED = new AtomicInteger();

    private final Cleaner.Cleanable cleanable;
    private final State state;

    /** What is left when the owner is gone; it must not refer to the owner. */
    private static final class State implements Runnable {
        private final String what;
        private boolean closed;

        State(String what) {
            this.what = what;
        }

        @Override
        public synchronized void run() {
            if (!closed) {
                DROPPED.incrementAndGet();
                LOG.log(System.Logger.Level.WARNING, "{0} was dropped without close(); its memory is lost", what);
            }
        }

        synchronized void close() {
            closed = true;
        }
    }

    /** Watches an owner that is to call {@link #closed}. */
    public LeakReport(Object owner, String what) {
        state = new State(what);
        cleanable = CLEANER.register(owner, state);
    }

    /** The owner was closed: there is nothing to report. */
    public void closed() {
        state.close();
        cleanable.clean();
    }

    /** How many were dropped so far. */
    public static int dropped() {
        return DROPPED.get();
    }
}
