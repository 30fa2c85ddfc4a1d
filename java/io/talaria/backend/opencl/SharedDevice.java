package io.talaria.backend.opencl;

import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.DeviceInfo;
import java.util.concurrent.atomic.AtomicLong;
import org.jocl.CL;
import org.jocl.CLException;
import org.jocl.cl_command_queue;

/** A device as all who open it in this process share it: its programs are built once, and its memory is one. */
final class SharedDevice {
    private static final int WAIT_LIMIT_MILLISECONDS = 600_000;

    private final Hardware hardware;
    private final Tuning tuning;
    private final Programs programs;
    private final AtomicLong taken = new AtomicLong();

    private SharedDevice(Hardware hardware, Tuning tuning, Programs programs) {
        this.hardware = hardware;
        this.tuning = tuning;
        this.programs = programs;
    }

    /**
     * Tries whether a device can be used: it has to make a context and compile a small program.
     *
     * @throws DeviceException if its compiler refuses that
     * @throws CLException if anything else fails
     */
    static SharedDevice of(Hardware hardware) {
        Tuning tuning = Tuning.of(hardware);
        Programs programs = new Programs(hardware, tuning);
        CL.clReleaseKernel(programs.kernel(Unit.of("memory"), "repack"));
        return new SharedDevice(hardware, tuning, programs);
    }

    Hardware hardware() {
        return hardware;
    }

    /** Of its memory, what this process has taken. */
    long takenBytes() {
        return taken.get();
    }

    DeviceInfo info(String device) {
        return new DeviceInfo(
                device,
                hardware.name() + ", " + hardware.platformName() + ", OpenCL C " + hardware.version(),
                hardware.memoryBytes(),
                hardware.freeBytes(taken.get()),
                OpenClDevice.ACTIVATION_BLOCK);
    }

    Device open(String device) {
        return open(device, WAIT_LIMIT_MILLISECONDS);
    }

    /** With a limit of its own to how long a step waits for an event. */
    @SuppressWarnings("deprecation") // its successor came after OpenCL 1.2
    Device open(String device, int waitLimit) {
        Memory memory = new Memory(hardware, programs.context(), taken);
        try {
            cl_command_queue queue = CL.clCreateCommandQueue(programs.context(), hardware.id(), 0, null);
            return new OpenClDevice(info(device), tuning, programs, memory, queue, waitLimit);
        } catch (CLException e) {
            throw Faults.allocating(e, device + " makes no queue: " + e.getMessage());
        }
    }
}
