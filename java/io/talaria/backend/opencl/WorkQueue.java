package io.talaria.backend.opencl;

import io.talaria.backend.DeviceException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jocl.CLException;

/**
 * A device's thread: it enqueues the steps that run, and waits where they wait, so that the caller need not. A fault in it
 * drops what is queued behind, and the next call that waits reports it.
 */
final class WorkQueue {
    private static final int CLOSING_SECONDS = 60;

    private final ExecutorService thread;
    private volatile DeviceException fault;
    private volatile boolean cancelled;

    WorkQueue(String name) {
        thread = Executors.newSingleThreadExecutor(
                Thread.ofPlatform().daemon().name(name).factory());
    }

    boolean cancelled() {
        return cancelled;
    }

    /** @param undone is called if the work fails, or does not begin */
    void add(Runnable work, Runnable undone) {
        thread.execute(() -> {
            if (fault != null || cancelled) {
                undone.run();
                return;
            }
            try {
                work.run();
                if (!cancelled) {
                    return;
                }
            } catch (CLException e) {
                fault = Faults.running(e);
            } catch (DeviceException e) {
                fault = e;
            } catch (RuntimeException | Error e) {
                fault = new DeviceException(DeviceException.Kind.LOST, "the device's queue failed: " + e, e);
            }
            undone.run();
        });
    }

    /**
     * Waits until all is enqueued.
     *
     * @throws DeviceException the first fault since the last wait
     */
    void drain() {
        settle();
        DeviceException found = fault;
        if (found != null) {
            fault = null;
            throw found;
        }
    }

    /** Waits until all is enqueued; faults are for the next drain. A thread that is interrupted waits all the same. */
    void settle() {
        if (thread.isShutdown()) {
            return;
        }
        Future<?> last = thread.submit(() -> {});
        boolean interrupted = false;
        while (!last.isDone()) {
            try {
                last.get();
            } catch (InterruptedException e) {
                interrupted = true;
            } catch (ExecutionException e) {
                throw new IllegalStateException(e);
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Cancels what is queued and waits for what runs. */
    void close() {
        cancelled = true;
        thread.shutdown();
        boolean interrupted = false;
        try {
            thread.awaitTermination(CLOSING_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            interrupted = true;
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
