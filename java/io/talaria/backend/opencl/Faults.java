package io.talaria.backend.opencl;

import static org.jocl.CL.CL_INVALID_BUFFER_SIZE;
import static org.jocl.CL.CL_MEM_OBJECT_ALLOCATION_FAILURE;
import static org.jocl.CL.CL_OUT_OF_HOST_MEMORY;
import static org.jocl.CL.CL_OUT_OF_RESOURCES;

import io.talaria.backend.DeviceException;
import org.jocl.CL;
import org.jocl.CLException;

/** What OpenCL's error codes mean for a device. */
final class Faults {
    private Faults() {}

    /** Of a call that asked for memory: the device goes on without it. */
    static DeviceException allocating(CLException e, String what) {
        return switch (e.getStatus()) {
            case CL_MEM_OBJECT_ALLOCATION_FAILURE, CL_OUT_OF_RESOURCES, CL_OUT_OF_HOST_MEMORY, CL_INVALID_BUFFER_SIZE ->
                new DeviceException(DeviceException.Kind.OUT_OF_MEMORY, what, e);
            default -> running(e);
        };
    }

    /**
     * Of a call that queued work or waited for it. Memory may still run out there, as drivers allocate late; whatever else a
     * driver says of calls that are right leaves nothing to trust.
     */
    static DeviceException running(CLException e) {
        String code = CL.stringFor_errorCode(e.getStatus());
        return switch (e.getStatus()) {
            case CL_MEM_OBJECT_ALLOCATION_FAILURE, CL_OUT_OF_HOST_MEMORY ->
                new DeviceException(
                        DeviceException.Kind.OUT_OF_MEMORY,
                        "the device has no memory left for what runs on it (" + code + "); choose a shorter context",
                        e);
            default ->
                new DeviceException(
                        DeviceException.Kind.LOST,
                        "the OpenCL driver reports " + code + "; the device can only be closed",
                        e);
        };
    }
}
