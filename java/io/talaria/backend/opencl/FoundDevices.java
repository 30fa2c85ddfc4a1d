package io.talaria.backend.opencl;

import io.talaria.backend.DeviceException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jocl.CL;
import org.jocl.CLException;

/**
 * What OpenCL devices there are, or why there is none.
 *
 * @param reason empty if there is a usable device
 */
record FoundDevices(List<SharedDevice> usable, Optional<String> reason) {
    /** Status of a loader that finds no platform; JOCL has no name for it. */
    private static final int CL_PLATFORM_NOT_FOUND_KHR = -1001;

    /** Never throws: whatever a loader or a driver does becomes the reason. */
    static FoundDevices look() {
        Optional<String> absent = Jocl.unavailable();
        if (absent.isPresent()) {
            return none(absent.get());
        }
        try {
            return of(Hardware.all());
        } catch (CLException e) {
            return none(
                    e.getStatus() == CL_PLATFORM_NOT_FOUND_KHR
                            ? noDevice()
                            : "the OpenCL loader reports " + CL.stringFor_errorCode(e.getStatus()));
        } catch (LinkageError | RuntimeException e) {
            return none("OpenCL cannot be used: " + e);
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
        return none(refused.isEmpty() ? noDevice() : String.join("; ", refused));
    }

    private static String noDevice() {
        return "the OpenCL loader finds no device; install the driver of one (its name is to be in"
                + " /etc/OpenCL/vendors)";
    }

    private static FoundDevices none(String reason) {
        return new FoundDevices(List.of(), Optional.of(reason));
    }
}
