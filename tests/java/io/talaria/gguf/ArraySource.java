package io.talaria.gguf;

import java.nio.ByteBuffer;

/** A file in memory, followed by zeros up to its length. */
record ArraySource(byte[] bytes, long size) implements ByteSource {
    private static final byte[] ZEROS = new byte[1 << 16];

    ArraySource(byte[] bytes) {
        this(bytes, bytes.length);
    }

    @Override
    public int read(long position, ByteBuffer target) {
        if (position >= size) {
            return -1;
        }
        int wanted = (int) Math.min(target.remaining(), size - position);
        if (position >= bytes.length) {
            int count = Math.min(wanted, ZEROS.length);
            target.put(ZEROS, 0, count);
            return count;
        }
        int count = (int) Math.min(wanted, bytes.length - position);
        target.put(bytes, (int) position, count);
        return count;
    }
}
