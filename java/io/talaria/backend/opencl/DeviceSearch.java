package io.talaria.backend.opencl;

import io.talaria.backend.DeviceException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jocl.CL;
import org.jocl.CLException;

/** Asks all platforms for their devices, and tries each. */
final class DeviceSearch {
    /** Status of a loader that finds no platform; JOCL has no name for it. */
    private static final int CL_PLATFORM_NOT_FOUND_KHR = -1001;

    private DeviceSearch() {}

    static FoundDevices run() {
        Optional<String> absent = Jocl.unavailable();
        if (absent.isPresent()) {
            return FoundDevices.none(absent.get());
        }
        try {
            return of(Hardware.all());
        } catch (CLException e) {
            return FoundDevices.none(
                    e.getStatus() == CL_PLATFORM_NOT_FOUND_KHR
                            ? noDevice()
                            : "the OpenCL loader reports " + CL.stringFor_errorCode(e.getStatus()));
        }
    }

    private static FoundDevices of(List<Hardware> all) {
        List<SharedDevice> usable = new ArrayList<>();
        List<String> refused = new ArrayList<>();
        for (Hardware hardware : all) {
            String why = hardware.refusal();
            if (why == null) {
                try {
                    usable.add(SharedDevice.of(hardware));
                    continue;
                } catch (DeviceException e) {
                    why = "cannot be used, as " + e.getMessage();
                } catch (CLException e) {
                    why = "cannot be used, as its driver reports " + CL.stringFor_errorCode(e.getStatus());
                }
            }
            refused.add(hardware.name() + " " + why);
        }
        if (!usable.isEmpty()) {
            return new FoundDevices(List.copyOf(usable), Optional.empty());
        }
        return FoundDevices.none(refused.isEmpty() ? noDevice() : String.join("; ", refused));
    }

    private static String noDevice() {
        return "the OpenCL loader finds no device; install the driver of one (its name is to be in"
                + " /etc/OpenCL/vendors)";
    }
}
