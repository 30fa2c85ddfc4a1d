package io.talaria.backend.opencl;

import io.talaria.backend.DeviceException;
import io.talaria.backend.Event;
import java.util.concurrent.TimeUnit;

/** An event between devices that are written in Java. */
final class JavaEvent implements Event {
    private long count;
    private boolean abandoned;

    @Override
    public synchronized void signal() {
        count++;
        notifyAll();
    }

    @Override
    public synchronized boolean await(int milliseconds) {
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(milliseconds);
        while (count == 0 && !abandoned) {
            long left = deadline - System.nanoTime();
            if (left <= 0) {
                return false;
            }
            try {
                TimeUnit.NANOSECONDS.timedWait(this, left);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return false;
            }
        }
        if (count == 0) {
            throw DeviceException.invalid(DeviceException.WAITED_IN_VAIN);
        }
        count--;
        return true;
    }

    @Override
    public synchronized void abandon() {
        abandoned = true;
        notifyAll();
    }

    @Override
    public void close() {
        // the garbage collector's
    }
}
