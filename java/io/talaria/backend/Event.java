package io.talaria.backend;

/** A counter with which the queue of one device waits for that of another: at a time one signals, and one waits. */
public interface Event extends AutoCloseable {
    /** Counts up, for devices that are written in Java. */
    void signal();

    /**
     * Waits until the count is at least 1, and takes 1.
     *
     * @return false if no signal came within so many milliseconds
     * @throws DeviceException if it is abandoned; the device that waits stays usable
     */
    boolean await(int milliseconds);

    /** No signal will come any more, because who was to send it has failed: whoever waits is told so at once. */
    void abandon();

    @Override
    void close();
}
