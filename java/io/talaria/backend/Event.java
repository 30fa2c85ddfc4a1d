package io.talaria.backend;

/** A counter with which the queue of one device waits for that of another. */
public interface Event extends AutoCloseable {
    /** Counts up, for devices that are written in Java. */
    void signal();

    /**
     * Waits until the count is at least 1, and takes 1.
     *
     * @return false if no signal came within so many milliseconds
     */
    boolean await(int milliseconds);

    @Override
    void close();
}
