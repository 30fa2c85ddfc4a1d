package io.talaria.backend.opencl;

import io.talaria.backend.Backend;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.OpenOptions;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/** The devices of all OpenCL platforms. Asked for once, at the first question. */
public final class OpenClBackend implements Backend {
    static final String NAME = "opencl";

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public Optional<String> unavailable() {
        return Found.DEVICES.reason();
    }

    @Override
    public List<DeviceInfo> devices() {
        List<SharedDevice> usable = Found.DEVICES.usable();
        return IntStream.range(0, usable.size())
                .mapToObj(i -> usable.get(i).info(NAME + ":" + i))
                .toList();
    }

    /** The first that is no processor: those have a backend of their own, which is faster. */
    @Override
    public OptionalInt preferred() {
        List<SharedDevice> usable = Found.DEVICES.usable();
        return IntStream.range(0, usable.size())
                .filter(i -> !usable.get(i).hardware().processor())
                .findFirst();
    }

    @Override
    public Device open(int index, OpenOptions options) {
        List<SharedDevice> usable = Found.DEVICES.usable();
        if (index < 0 || index >= usable.size()) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED,
                    unavailable().orElse("there are " + usable.size() + " OpenCL devices, numbered from 0"));
        }
        return usable.get(index).open(NAME + ":" + index);
    }

    /** Keeps JOCL from being touched before somebody asks. */
    private static final class Found {
        static final FoundDevices DEVICES = FoundDevices.look();
    }
}
