package io.talaria.gguf;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;

/** Bytes that are read by position. Reads may come from several threads at once. */
interface ByteSource extends Closeable {
    /** The length in bytes at this moment. */
    long size() throws IOException;

    /**
     * Reads some bytes at {@code position} into the target's remaining space.
     *
     * @return how many bytes were read; 0 or less at or behind the end
     */
    int read(long position, ByteBuffer target) throws IOException;

    /** Fills the target's remaining space from {@code position} on; false if the bytes end before it is full. */
    default boolean fill(long position, ByteBuffer target) throws IOException {
        long at = position;
        while (target.hasRemaining()) {
            int count = read(at, target);
            if (count <= 0) {
                return false;
            }
            at += count;
        }
        return true;
    }

    @Override
    default void close() throws IOException {}
}
