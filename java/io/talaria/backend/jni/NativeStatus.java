package io.talaria.backend.jni;

import io.talaria.backend.DeviceException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** The status that native calls fill: a code and a sentence. */
final class NativeStatus {
    private static final int BYTES = 512;
    private static final int TEXT = 4;

    private final ByteBuffer buffer = ByteBuffer.allocateDirect(BYTES).order(ByteOrder.LITTLE_ENDIAN);

    ByteBuffer buffer() {
        return buffer;
    }

    int code() {
        return buffer.getInt(0);
    }

    String text() {
        byte[] text = new byte[BYTES - TEXT];
        buffer.get(TEXT, text);
        int end = 0;
        while (end < text.length && text[end] != 0) {
            end++;
        }
        return new String(text, 0, end, StandardCharsets.UTF_8);
    }

    /** Throws what the last call reported, unless it returned {@code TALARIA_OK}. */
    void check(int code) {
        if (code != Native.TALARIA_OK) {
            throw failure();
        }
    }

    /** Throws what the last call reported if it returned no handle. */
    long checkHandle(long handle) {
        if (handle == 0) {
            throw failure();
        }
        return handle;
    }

    private DeviceException failure() {
        DeviceException.Kind kind = switch (code()) {
            case Native.TALARIA_UNSUPPORTED -> DeviceException.Kind.UNSUPPORTED;
            case Native.TALARIA_OUT_OF_MEMORY -> DeviceException.Kind.OUT_OF_MEMORY;
            case Native.TALARIA_LOST -> DeviceException.Kind.LOST;
            default -> DeviceException.Kind.INVALID;
        };
        return new DeviceException(kind, text());
    }
}
