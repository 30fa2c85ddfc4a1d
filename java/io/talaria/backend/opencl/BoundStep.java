package io.talaria.backend.opencl;

import io.talaria.backend.opencl.Command.Launch;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.jocl.CL;
import org.jocl.NativePointerObject;
import org.jocl.Pointer;
import org.jocl.Sizeof;
import org.jocl.cl_command_queue;
import org.jocl.cl_event;
import org.jocl.cl_kernel;

/**
 * A step's commands, each launch as a kernel object whose arguments are set: running them is enqueueing them in turn. One
 * thread at a time.
 */
final class BoundStep implements AutoCloseable {
    /** Batches on their way to the device. */
    private static final int STAGES = 3;

    /** What a step meets outside of it. */
    interface Host {
        /** Does what is no launch. */
        void run(Command command, int rows);

        /** True if the rest is to be left out, as the device closes. */
        boolean cancelled();
    }

    private final List<Command> commands;
    private final Memory.Buffer batch;
    private final Programs programs;
    private final Scratch scratch;
    private final cl_command_queue queue;
    private final cl_kernel[] kernels;
    private final ByteBuffer[] staged = new ByteBuffer[STAGES];
    private final cl_event[] arrived = new cl_event[STAGES];
    private int generation;
    private int next;

    /** Builds the programs that are missing, which may take long. */
    BoundStep(List<Command> commands, Memory.Buffer batch, Programs programs, Scratch scratch, cl_command_queue queue) {
        this.commands = List.copyOf(commands);
        this.batch = batch;
        this.programs = programs;
        this.scratch = scratch;
        this.queue = queue;
        this.kernels = new cl_kernel[commands.size()];
        try {
            for (int i = 0; i < kernels.length; i++) {
                if (this.commands.get(i) instanceof Launch launch) {
                    kernels[i] = programs.kernel(launch.unit(), launch.kernel());
                }
            }
            bind();
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private void bind() {
        for (int i = 0; i < kernels.length; i++) {
            if (commands.get(i) instanceof Launch launch) {
                Object[] args = launch.args();
                for (int j = 0; j < args.length; j++) {
                    setArgument(kernels[i], j, args[j], scratch);
                }
            }
        }
        generation = scratch.generation();
    }

    /** Sets an argument as {@link LaunchArgs} has it; only regions need the scratch memory. */
    static void setArgument(cl_kernel kernel, int index, Object value, Scratch scratch) {
        switch (value) {
            case Integer number -> CL.clSetKernelArg(kernel, index, Sizeof.cl_int, Pointer.to(new int[] {number}));
            case Long number -> CL.clSetKernelArg(kernel, index, Sizeof.cl_long, Pointer.to(new long[] {number}));
            case Float number -> CL.clSetKernelArg(kernel, index, Sizeof.cl_float, Pointer.to(new float[] {number}));
            case Memory.Buffer buffer -> setBuffer(kernel, index, buffer.memory());
            case Region region when region == Region.NOTHING -> CL.clSetKernelArg(kernel, index, Sizeof.cl_mem, null);
            case Region region ->
                setBuffer(kernel, index, scratch.buffer(region).memory());
            default -> throw new IllegalStateException("no argument of a kernel: " + value);
        }
    }

    private static void setBuffer(cl_kernel kernel, int index, NativePointerObject memory) {
        CL.clSetKernelArg(kernel, index, Sizeof.cl_mem, Pointer.to(memory));
    }

    /** Queues all of it over a batch whose words were checked. */
    void run(int[] words, Host host) {
        if (generation != scratch.generation()) { // a hungrier step has come since
            CL.clFinish(queue);
            bind();
        }
        upload(words);
        for (int i = 0; i < kernels.length && !host.cancelled(); i++) {
            if (commands.get(i) instanceof Launch launch) {
                long[] lanes = {launch.lanes(), 1, 1};
                long[] grid = {launch.x() * launch.lanes(), launch.y(), launch.z()};
                CL.clEnqueueNDRangeKernel(queue, kernels[i], 3, null, grid, lanes, 0, null, null);
            } else {
                host.run(commands.get(i), words[0]);
            }
        }
        CL.clFlush(queue);
    }

    /** The events that it signals: it will not. */
    void abandon() {
        for (Command command : commands) {
            if (command instanceof Command.Signal signal) {
                signal.event().abandon();
            }
        }
    }

    /** Without waiting for what runs: only for the batch before the last two. */
    private void upload(int[] words) {
        int stage = next;
        next = (next + 1) % STAGES;
        if (arrived[stage] != null) {
            CL.clWaitForEvents(1, new cl_event[] {arrived[stage]});
            CL.clReleaseEvent(arrived[stage]);
            arrived[stage] = null;
        }
        long bytes = (long) words.length * Integer.BYTES;
        if (staged[stage] == null) {
            staged[stage] = ByteBuffer.allocateDirect((int) bytes).order(ByteOrder.nativeOrder());
        }
        staged[stage].asIntBuffer().put(words);
        cl_event event = new cl_event();
        CL.clEnqueueWriteBuffer(queue, batch.memory(), false, 0, bytes, Pointer.to(staged[stage]), 0, null, event);
        arrived[stage] = event;
    }

    @Override
    public void close() {
        for (cl_event event : arrived) {
            if (event != null) {
                CL.clReleaseEvent(event);
            }
        }
        for (cl_kernel kernel : kernels) {
            if (kernel != null) {
                CL.clReleaseKernel(kernel);
            }
        }
    }
}
