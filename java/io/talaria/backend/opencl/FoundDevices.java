package io.talaria.backend.opencl;

import java.util.List;
import java.util.Optional;

/**
 * What OpenCL devices there are, or why there is none.
 *
 * @param reason empty if there is a usable device
 */
record FoundDevices(List<SharedDevice> usable, Optional<String> reason) {
    /**
     * Never throws: whatever a loader or a driver does becomes the reason. Names no class of JOCL, so that even a class path
     * without that is one.
     */
    static FoundDevices look() {
        try {
            return DeviceSearch.run();
        } catch (LinkageError | RuntimeException e) {
            return none("OpenCL cannot be used: " + e);
        }
    }

    static FoundDevices none(String reason) {
        return new FoundDevices(List.of(), Optional.of(reason));
    }
}
