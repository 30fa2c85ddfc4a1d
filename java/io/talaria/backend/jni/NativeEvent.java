package io.talaria.backend.jni;

import io.talaria.backend.DeviceException;
import io.talaria.backend.Event;

/** An event behind the C ABI. */
public final class NativeEvent implements Event {
    private final NativeStatus status = new NativeStatus();
    private long handle;

    /**
     * Makes an event with a count of 0.
     *
     * @throws DeviceException if the native library is not there
     */
    public NativeEvent() {
        NativeLibrary.unavailable().ifPresent(reason -> {
            throw new DeviceException(DeviceException.Kind.UNSUPPORTED, reason);
        });
        handle = status.checkHandle(Native.talaria_event_new(status.buffer()));
    }

    synchronized long handle() {
        return handle;
    }

    @Override
    public synchronized void close() {
        if (handle != 0) {
            status.check(Native.talaria_event_free(handle, status.buffer()));
            handle = 0;
        }
    }
}
