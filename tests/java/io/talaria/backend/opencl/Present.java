package io.talaria.backend.opencl;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Assumptions;

/** The OpenCL devices that are here; without one, what needs it is counted as skipped, with the reason. */
final class Present {
    private static final FoundDevices FOUND = FoundDevices.look();

    private Present() {}

    static List<SharedDevice> orSkip() {
        Optional<String> reason = FOUND.reason();
        Assumptions.assumeTrue(reason.isEmpty(), () -> "not tested: OpenCL: " + reason.orElseThrow());
        return FOUND.usable();
    }
}
