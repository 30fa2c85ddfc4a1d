package io.talaria.backend.jni;

import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.OpenOptions;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A backend that is a shared library behind the C ABI. Opened at the first question, and then for good. */
final class NativeBackend {
    private static final int INFO_BYTES = 152;
    private static final int INFO_NAME = 24;
    private static final int OPTIONS_BYTES = 20;

    private final String name;
    private final String library;
    private final NativeStatus status = new NativeStatus();
    private long handle;
    private int count;
    private String absent;

    /** The backend of this name, in {@code libtalaria_LIBRARY}. */
    NativeBackend(String name, String library) {
        this.name = name;
        this.library = library;
    }

    String name() {
        return name;
    }

    synchronized Optional<String> unavailable() {
        if (handle == 0 && absent == null) {
            absent = connect();
        }
        return Optional.ofNullable(absent);
    }

    private String connect() {
        Optional<String> reason = NativeLibrary.unavailable();
        if (reason.isPresent()) {
            return reason.get();
        }
        try {
            Path path = NativeLibrary.find(library);
            handle = status.checkHandle(Native.talaria_backend_open(path.toString(), status.buffer()));
            count = Native.talaria_device_count(handle, status.buffer());
            return count > 0 ? null : status.text();
        } catch (DeviceException e) {
            return e.getMessage();
        }
    }

    Optional<Path> library() {
        return unavailable().isPresent() ? Optional.empty() : Optional.of(NativeLibrary.find(library));
    }

    synchronized List<DeviceInfo> devices() {
        List<DeviceInfo> devices = new ArrayList<>();
        if (unavailable().isEmpty()) {
            for (int i = 0; i < count; i++) {
                devices.add(info(i));
            }
        }
        return devices;
    }

    private DeviceInfo info(int index) {
        ByteBuffer info = ByteBuffer.allocateDirect(INFO_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        info.putInt(0, INFO_BYTES);
        status.check(Native.talaria_device_get_info(handle, index, info, INFO_BYTES, status.buffer()));
        byte[] text = new byte[INFO_BYTES - INFO_NAME];
        info.get(INFO_NAME, text);
        String hardware = new String(text, StandardCharsets.UTF_8);
        return new DeviceInfo(
                name + ":" + index,
                hardware.substring(0, Math.max(0, hardware.indexOf('\0'))).strip(),
                info.getLong(8),
                info.getLong(16),
                info.getInt(4));
    }

    /** Opens a device whose waits for another's signal end after so many milliseconds; 0 for the usual limit. */
    synchronized Device open(int index, OpenOptions opening, int waitLimit) {
        return open(index, opening, waitLimit, false, false);
    }

    /** Opens a device that allocates and runs nothing. */
    synchronized Device plan(int index, OpenOptions opening) {
        return open(index, opening, 0, true, false);
    }

    private synchronized NativeDevice open(
            int index, OpenOptions opening, int waitLimit, boolean planOnly, boolean copiesOnly) {
        Optional<String> reason = unavailable();
        if (reason.isPresent()) {
            throw new DeviceException(DeviceException.Kind.UNSUPPORTED, reason.get());
        }
        ByteBuffer options = ByteBuffer.allocateDirect(OPTIONS_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        options.putInt(0, OPTIONS_BYTES)
                .putInt(4, waitLimit)
                .putInt(8, opening.threads())
                .putInt(12, planOnly ? 1 : 0)
                .putInt(16, copiesOnly ? 1 : 0);
        DeviceInfo info = info(index); // first: what fails after opening would leave the device open
        long device =
                status.checkHandle(Native.talaria_device_open(handle, index, options, OPTIONS_BYTES, status.buffer()));
        NativeDevice opened = new NativeDevice(info, device, planOnly);
        if (!copiesOnly) {
            opened.courierFrom(() -> open(index, opening, waitLimit, planOnly, true));
        }
        return opened;
    }
}
