package io.talaria.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A cursor over the header of one GGUF file. Everything that the reader takes from a file passes through here, and
 * nothing is allocated or read before it is known to lie inside the file and inside the header's limit.
 */
final class GgufInput {
    private static final int WINDOW_BYTES = 256 << 10;

    private final String file;
    private final ByteSource source;
    private final long size;
    private final ByteBuffer window;
    private long windowStart;
    private String kind = "the header";
    private String name;
    private int number;
    private int total;

    /**
     * A cursor at the file's start.
     *
     * @param file the file's printable name
     * @param size the file's length, taken once by the caller
     */
    GgufInput(String file, ByteSource source, long size) {
        this.file = file;
        this.source = source;
        this.size = size;
        this.window = ByteBuffer.allocate((int) Math.min(WINDOW_BYTES, size)).order(ByteOrder.LITTLE_ENDIAN);
        window.limit(0);
    }

    /** The following bytes belong to a named key or tensor; messages begin with that. */
    void subject(String newKind, String newName) {
        kind = newKind;
        name = newName;
    }

    /** The following bytes belong to a key or tensor whose name is not known yet. */
    void subject(String newKind, int newNumber, int newTotal) {
        kind = newKind;
        name = null;
        number = newNumber;
        total = newTotal;
    }

    /** The offset in the file of the next byte. */
    long position() {
        return windowStart + window.position();
    }

    /** The bytes from here to the end of the file. */
    long remaining() {
        return size - position();
    }

    /** A fault of what is being read now. */
    GgufException fault(GgufFault fault, String problem) {
        return faultAt(fault, position(), problem);
    }

    /** A fault of what begins at {@code offset}. */
    GgufException faultAt(GgufFault fault, long offset, String problem) {
        return GgufException.of(fault, file, subject() + " (near byte " + offset + "): " + problem);
    }

    private String subject() {
        if (name != null) {
            return kind + " " + Printable.name(name);
        }
        return number == 0 ? kind : kind + " " + number + " of " + total;
    }

    /**
     * Makes sure that {@code bytes} more bytes are in the file and within the header's limit.
     *
     * @param bytes not negative
     * @param what whose bytes these are
     */
    void require(long bytes, String what) throws GgufException {
        if (bytes > remaining()) {
            throw fault(
                    GgufFault.HEADER_TRUNCATED,
                    what + " needs " + bytes + " bytes where the file has " + remaining() + " left");
        }
        if (bytes > GgufLimits.HEADER_BYTES - position()) {
            throw fault(
                    GgufFault.HEADER_TOO_LARGE,
                    what + " makes the header longer than " + GgufLimits.HEADER_BYTES + " bytes");
        }
    }

    int readInt(String what) throws IOException {
        buffer(Integer.BYTES, what);
        return window.getInt();
    }

    long readLong(String what) throws IOException {
        buffer(Long.BYTES, what);
        return window.getLong();
    }

    /** The next {@code length} bytes. */
    byte[] readBytes(int length, String what) throws IOException {
        require(length, what);
        byte[] bytes = new byte[length];
        int held = Math.min(length, window.remaining());
        window.get(bytes, 0, held);
        if (held < length) {
            readUnbuffered(ByteBuffer.wrap(bytes, held, length - held));
        }
        return bytes;
    }

    /** Passes over {@code length} bytes. */
    void skip(long length, String what) throws IOException {
        require(length, what);
        if (length <= window.remaining()) {
            window.position(window.position() + (int) length);
        } else {
            restartWindow(position() + length);
        }
    }

    /** Goes back to an offset that this cursor has passed. */
    void rewind(long offset) {
        if (offset >= windowStart && offset <= position()) {
            window.position((int) (offset - windowStart));
        } else {
            restartWindow(offset);
        }
    }

    private void readUnbuffered(ByteBuffer target) throws IOException {
        long at = position();
        long after = at + target.remaining();
        if (!source.fill(at, target)) {
            throw shrank();
        }
        restartWindow(after);
    }

    private void restartWindow(long offset) {
        windowStart = offset;
        window.position(0).limit(0);
    }

    private void buffer(int bytes, String what) throws IOException {
        require(bytes, what);
        if (window.remaining() >= bytes) {
            return;
        }
        windowStart = position();
        window.compact();
        while (window.position() < bytes) {
            int count = source.read(windowStart + window.position(), window);
            if (count <= 0) {
                throw shrank();
            }
        }
        window.flip();
    }

    private GgufException shrank() {
        return GgufException.of(
                GgufFault.FILE_CHANGED, file, "the file became shorter than its " + size + " bytes while it was read");
    }
}
