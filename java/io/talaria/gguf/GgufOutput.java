package io.talaria.gguf;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** A growing little-endian buffer in which a GGUF header is put together; it refuses to grow over the limit. */
final class GgufOutput {
    private final String file;
    private ByteBuffer buffer = ByteBuffer.allocate(64 << 10).order(ByteOrder.LITTLE_ENDIAN);

    /** An empty buffer; {@code file} is the printable name for messages. */
    GgufOutput(String file) {
        this.file = file;
    }

    void putInt(int value) throws GgufException {
        room(Integer.BYTES).putInt(value);
    }

    void putLong(long value) throws GgufException {
        room(Long.BYTES).putLong(value);
    }

    void putBytes(byte[] bytes) throws GgufException {
        room(bytes.length).put(bytes);
    }

    /** A string behind its length. */
    void putString(String text) throws GgufException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        putLong(bytes.length);
        putBytes(bytes);
    }

    /** Zeros up to the next multiple of {@code alignment}. */
    void pad(long alignment) throws GgufException {
        int padding = (int) (GgufLayout.align(buffer.position(), alignment) - buffer.position());
        putBytes(new byte[padding]);
    }

    /** What was put so far, ready to be read. */
    ByteBuffer content() {
        return buffer.duplicate().flip();
    }

    private ByteBuffer room(int bytes) throws GgufException {
        if (bytes > buffer.remaining()) {
            // Padding may exceed the limit a little; the reader, which checks the result, does not count it.
            long needed = (long) buffer.position() + bytes;
            if (needed > GgufLimits.HEADER_BYTES + GgufLimits.MAXIMUM_ALIGNMENT) {
                throw GgufException.of(
                        GgufFault.HEADER_TOO_LARGE,
                        file,
                        "the header would have more than " + GgufLimits.HEADER_BYTES + " bytes");
            }
            byte[] larger = Arrays.copyOf(buffer.array(), (int) Math.max(needed, 2L * buffer.capacity()));
            buffer = ByteBuffer.wrap(larger).order(ByteOrder.LITTLE_ENDIAN).position(buffer.position());
        }
        return buffer;
    }
}
