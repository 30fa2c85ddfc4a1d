package io.talaria.backend;

/** A counter with which the queue of one device waits for that of another. */
public interface Event extends AutoCloseable {
    @Override
    void close();
}
