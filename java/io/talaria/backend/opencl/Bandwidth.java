package io.talaria.backend.opencl;

import org.jocl.CL;
import org.jocl.cl_command_queue;
import org.jocl.cl_kernel;

/** How fast a device reads its memory. */
final class Bandwidth {
    private static final int PASSES = 9;
    private static final int GROUPS = 1024;
    private static final int LOAD_BYTES = 16;

    private Bandwidth() {}

    /** 10^9 bytes per second, of the best of a few passes over so many bytes. */
    static double measure(Memory memory, cl_command_queue queue, Programs programs, int lanes, long bytes) {
        long count = bytes / LOAD_BYTES;
        try (Memory.Buffer source = memory.allocate(queue, bytes, "memory to read");
                Memory.Buffer sums = memory.allocate(queue, (long) GROUPS * lanes * LOAD_BYTES, "sums of it")) {
            cl_kernel kernel = programs.kernel(Unit.of("memory"), "read_bandwidth");
            try {
                Object[] args = {source, sums, count, (count + GROUPS - 1) / GROUPS};
                for (int i = 0; i < args.length; i++) {
                    BoundStep.setArgument(kernel, i, args[i], null);
                }
                long best = Long.MAX_VALUE;
                for (int pass = 0; pass < PASSES; pass++) {
                    long begin = System.nanoTime();
                    CL.clEnqueueNDRangeKernel(
                            queue,
                            kernel,
                            1,
                            null,
                            new long[] {(long) GROUPS * lanes},
                            new long[] {lanes},
                            0,
                            null,
                            null);
                    CL.clFinish(queue);
                    best = Math.min(best, System.nanoTime() - begin);
                }
                return (double) count * LOAD_BYTES / best;
            } finally {
                CL.clReleaseKernel(kernel);
            }
        }
    }
}
