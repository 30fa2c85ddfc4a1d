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
    public void signal() {
        NativeStatus own = new NativeStatus(); // not the event's: others may be waiting for it
        own.check(Native.talaria_event_signal(handle(), own.buffer()));
    }

    @Override
    public boolean await(int milliseconds) {
        NativeStatus own = new NativeStatus();
        int code = Native.talaria_event_wait(handle(), milliseconds, own.buffer());
        if (code == Native.TALARIA_LOST) {
            return false;
        }
        own.check(code);
        return true;
    }

    @Override
    public void abandon() {
        NativeStatus own = new NativeStatus();
        own.check(Native.talaria_event_abandon(handle(), own.buffer()));
    }

    @Override
    public synchronized void close() {
        if (handle != 0) {
            status.check(Native.talaria_event_free(handle, status.buffer()));
            handle = 0;
        }
    }
}
