package io.talaria.backend.opencl;

import io.talaria.backend.DeviceException;
import io.talaria.backend.Event;
import io.talaria.backend.HostTensor;
import io.talaria.backend.Tensor;
import java.nio.ByteBuffer;
import org.jocl.CL;
import org.jocl.Pointer;
import org.jocl.cl_command_queue;

/** The commands of a step that are no launches, on the device's thread. */
final class HostCommands implements BoundStep.Host {
    /** How often a wait looks whether the device is being closed. */
    private static final int GLANCE_MILLISECONDS = 20;

    private final cl_command_queue queue;
    private final WorkQueue work;
    private final int waitLimit;

    HostCommands(cl_command_queue queue, WorkQueue work, int waitLimit) {
        this.queue = queue;
        this.work = work;
        this.waitLimit = waitLimit;
    }

    @Override
    public boolean cancelled() {
        return work.cancelled();
    }

    @Override
    public void run(Command command, int rows) {
        switch (command) {
            case Command.Copy copy -> copy(copy, copy.rowBytes() * rows);
            case Command.Zero zero -> zero(zero.target());
            case Command.Signal signal -> {
                CL.clFinish(queue);
                signal.event().signal();
            }
            case Command.Await await -> await(await.event());
            case Command.Launch launch -> throw new IllegalStateException("a launch: " + launch.kernel());
        }
    }

    private void copy(Command.Copy copy, long bytes) {
        if (copy.target() instanceof DeviceTensor target && copy.source() instanceof DeviceTensor source) {
            CL.clEnqueueCopyBuffer(
                    queue,
                    source.buffer().memory(),
                    target.buffer().memory(),
                    copy.sourceOffset(),
                    copy.targetOffset(),
                    bytes,
                    0,
                    null,
                    null);
            return;
        }
        ByteBuffer between = ByteBuffer.allocateDirect(Math.toIntExact(bytes));
        if (copy.source() instanceof DeviceTensor source) {
            CL.clEnqueueReadBuffer(
                    queue,
                    source.buffer().memory(),
                    true,
                    copy.sourceOffset(),
                    bytes,
                    Pointer.to(between),
                    0,
                    null,
                    null);
        } else {
            ((HostTensor) copy.source()).get(copy.sourceOffset(), between);
        }
        if (copy.target() instanceof DeviceTensor target) {
            CL.clEnqueueWriteBuffer(
                    queue,
                    target.buffer().memory(),
                    true,
                    copy.targetOffset(),
                    bytes,
                    Pointer.to(between),
                    0,
                    null,
                    null);
        } else {
            ((HostTensor) copy.target()).put(copy.targetOffset(), between);
        }
    }

    private void zero(Tensor target) {
        if (target instanceof HostTensor host) {
            host.put(0, ByteBuffer.allocateDirect(Math.toIntExact(target.bytes())));
        } else {
            CL.clEnqueueFillBuffer(
                    queue,
                    ((DeviceTensor) target).buffer().memory(),
                    Pointer.to(new int[1]),
                    Integer.BYTES,
                    0,
                    target.bytes(),
                    0,
                    null,
                    null);
        }
    }

    private void await(Event event) {
        for (int waited = 0; waited < waitLimit; waited += GLANCE_MILLISECONDS) {
            if (work.cancelled() || event.await(GLANCE_MILLISECONDS)) {
                return;
            }
        }
        throw new DeviceException(DeviceException.Kind.LOST, "no signal came within " + waitLimit + " ms");
    }
}
