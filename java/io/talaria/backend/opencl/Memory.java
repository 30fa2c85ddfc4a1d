package io.talaria.backend.opencl;

import io.talaria.backend.DeviceException;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import org.jocl.CL;
import org.jocl.CLException;
import org.jocl.Pointer;
import org.jocl.cl_command_queue;
import org.jocl.cl_context;
import org.jocl.cl_mem;

/** A device's memory, with account kept of what is taken, as OpenCL tells nobody. */
final class Memory {
    /** A system property that lowers the largest buffer that weights may have, for tests. */
    static final String LIMIT_PROPERTY = "talaria.opencl.weight.buffer";

    private final Hardware hardware;
    private final cl_context context;
    private final AtomicLong taken;
    private long held;

    /**
     * @param taken bytes of the device that this process has taken, by whichever of its owners
     */
    Memory(Hardware hardware, cl_context context, AtomicLong taken) {
        this.hardware = hardware;
        this.context = context;
        this.taken = taken;
    }

    /** Device memory. Not thread-safe. */
    final class Buffer implements AutoCloseable {
        private final cl_mem memory;
        private final long bytes;
        private boolean closed;

        private Buffer(cl_mem memory, long bytes) {
            this.memory = memory;
            this.bytes = bytes;
        }

        cl_mem memory() {
            return memory;
        }

        long bytes() {
            return bytes;
        }

        @Override
        public void close() {
            if (!closed) {
                closed = true;
                held -= bytes;
                taken.addAndGet(-bytes);
                CL.clReleaseMemObject(memory);
            }
        }
    }

    /** Bytes of all buffers that were allocated here and are not closed. */
    long heldBytes() {
        return held;
    }

    /** The largest buffer that a weight may have. */
    long mostWeightBytes() {
        return Math.min(hardware.mostBytes(), Long.getLong(LIMIT_PROPERTY, Long.MAX_VALUE));
    }

    /**
     * A buffer of zeros: as they are written, a driver that allocates late has to do it now.
     *
     * @param what it is for, in a message
     * @throws DeviceException OUT_OF_MEMORY if there is not so much
     */
    Buffer allocate(cl_command_queue queue, long bytes, String what) {
        long size = Math.max(256, (bytes + 255) / 256 * 256);
        if (size > hardware.mostBytes()) {
            throw noRoom(
                    what + " takes %.2f GB, and a buffer of this device has %.2f GB at most",
                    size,
                    hardware.mostBytes());
        }
        long left = hardware.freeBytes(taken.get());
        if (size > left) {
            throw noRoom(what + " takes %.2f GB, and %.2f GB are free", size, left);
        }
        taken.addAndGet(size);
        cl_mem memory = null;
        try {
            memory = CL.clCreateBuffer(context, CL.CL_MEM_READ_WRITE, size, null, null);
            CL.clEnqueueFillBuffer(queue, memory, Pointer.to(new int[1]), Integer.BYTES, 0, size, 0, null, null);
            CL.clFinish(queue);
            held += size;
            return new Buffer(memory, size);
        } catch (CLException e) {
            taken.addAndGet(-size);
            if (memory != null) {
                CL.clReleaseMemObject(memory);
            }
            throw Faults.allocating(
                    e,
                    what + " takes " + size
                            + " bytes, which the device has not free; choose a smaller model or a shorter"
                            + " context");
        }
    }

    private static DeviceException noRoom(String format, long bytes, long limit) {
        return new DeviceException(
                DeviceException.Kind.OUT_OF_MEMORY,
                String.format(Locale.ROOT, format, bytes / 1e9, limit / 1e9)
                        + "; choose a smaller model or a shorter context");
    }
}
