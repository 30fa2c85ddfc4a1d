package io.talaria.backend.opencl;

import io.talaria.backend.Activations;
import io.talaria.backend.Batch;
import io.talaria.backend.BatchLayout;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.Event;
import io.talaria.backend.HostTensor;
import io.talaria.backend.LeakReport;
import io.talaria.backend.MemoryUse;
import io.talaria.backend.Shape;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.backend.TensorSource;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import org.jocl.CL;
import org.jocl.CLException;
import org.jocl.Pointer;
import org.jocl.cl_command_queue;

/** A device behind OpenCL: a command queue, and what is allocated for it. */
final class OpenClDevice implements Device {
    /** Values per int8 block. */
    static final int ACTIVATION_BLOCK = 32;

    private static final Set<TensorType> WEIGHTS = EnumSet.of(
            TensorType.F32,
            TensorType.F16,
            TensorType.BF16,
            TensorType.Q4_0,
            TensorType.Q8_0,
            TensorType.Q4_K,
            TensorType.Q5_K,
            TensorType.Q6_K);
    private static final int MOST_ROW_BYTES = 64 << 20;
    private static final int MOST_HOST_BYTES = 1 << 30;

    private final DeviceInfo info;
    private final Tuning tuning;
    private final Programs programs;
    private final Memory memory;
    private final cl_command_queue queue;
    private final Scratch scratch;
    private final WeightLoader loader;
    private final WorkQueue work;
    private final HostCommands host;
    private final Set<DeviceTensor> tensors = new HashSet<>();
    private final Set<OpenClStep> steps = new HashSet<>();
    private final LeakReport leak;
    private boolean open = true;
    private boolean lost;

    /**
     * @param waitLimit milliseconds that a step waits for an event before the device counts as lost
     * @throws CLException if the driver makes no queue
     */
    OpenClDevice(
            DeviceInfo info, Tuning tuning, Programs programs, Memory memory, cl_command_queue queue, int waitLimit) {
        this.info = info;
        this.tuning = tuning;
        this.programs = programs;
        this.memory = memory;
        this.queue = queue;
        this.scratch = new Scratch(memory, queue);
        this.loader = new WeightLoader(memory, queue, programs, tuning.rowLanes());
        this.work = new WorkQueue(info.device());
        this.host = new HostCommands(queue, work, waitLimit);
        this.leak = new LeakReport(this, "device " + info.device());
    }

    @Override
    public DeviceInfo info() {
        return info;
    }

    @Override
    public Meeting meeting() {
        return Meeting.JAVA;
    }

    @Override
    public Event newEvent() {
        return new JavaEvent();
    }

    @Override
    public synchronized Tensor load(TensorSource source) throws IOException {
        requireOpen();
        if (!WEIGHTS.contains(source.type())) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED,
                    "tensor " + source.name() + ": " + info.device() + " does not compute with " + source.type()
                            + " weights; the device 'reference' does, or quantise the model to one of " + WEIGHTS);
        }
        long columns = source.shape().columns();
        if (columns % source.type().blockElements() != 0 || columns > Integer.MAX_VALUE) {
            throw DeviceException.invalid("tensor " + source.name() + ": rows of " + columns
                    + " values do not fill blocks of " + source.type());
        }
        if (source.type().bytes(columns) > MOST_ROW_BYTES) {
            throw DeviceException.invalid("tensor " + source.name() + " has rows of "
                    + source.type().bytes(columns) + " bytes; at most " + MOST_ROW_BYTES + " can be loaded");
        }
        waiting(() -> null);
        try {
            DeviceTensor tensor =
                    DeviceTensor.weight(this, source.name(), source.type(), source.shape(), loader.load(source));
            tensors.add(tensor);
            return tensor;
        } catch (DeviceException e) {
            throw noted(e);
        }
    }

    @Override
    public synchronized void reload(Tensor weight, TensorSource source) throws IOException {
        requireOpen();
        DeviceTensor own = DeviceTensor.of(this, weight);
        own.requireFit(source);
        waiting(() -> null);
        try {
            loader.fill(own.parts(), source);
        } catch (DeviceException e) {
            throw noted(e);
        }
    }

    @Override
    public synchronized Tensor alloc(String label, Tensor.Kind kind, TensorType type, Shape shape) {
        boolean plain = type == TensorType.F32 || type == TensorType.I32;
        if (kind == Tensor.Kind.WEIGHT) {
            throw DeviceException.invalid("tensor " + label + ": weights are loaded, not allocated");
        }
        if (kind != Tensor.Kind.KV && !plain) {
            throw DeviceException.invalid(
                    "tensor " + label + ": activations and host tensors are F32 or I32, not " + type);
        }
        if (kind == Tensor.Kind.HOST) {
            return hostTensor(label, type, shape);
        }
        requireOpen();
        List<Memory.Buffer> buffers = waiting(() -> kind == Tensor.Kind.KV
                ? cacheLayers(label, type, shape)
                : List.of(memory.allocate(queue, bytes(label, type, shape.elements()), "tensor " + label)));
        DeviceTensor tensor = DeviceTensor.of(this, label, kind, type, shape, buffers);
        tensors.add(tensor);
        return tensor;
    }

    private static Tensor hostTensor(String label, TensorType type, Shape shape) {
        long bytes = bytes(label, type, shape.elements());
        if (bytes > MOST_HOST_BYTES) {
            throw DeviceException.invalid("tensor " + label + ": host tensors carry activations and have at most "
                    + MOST_HOST_BYTES + " bytes");
        }
        ByteBuffer memory = ByteBuffer.allocateDirect((int) bytes).order(ByteOrder.LITTLE_ENDIAN);
        return new HostBytes(label, type, shape, memory);
    }

    private static long bytes(String label, TensorType type, long elements) {
        try {
            return type.bytes(elements);
        } catch (ArithmeticException e) {
            throw DeviceException.invalid("tensor " + label + ": its size overflows");
        }
    }

    /** A buffer for each layer, as all of them together may be larger than a buffer can be. */
    private List<Memory.Buffer> cacheLayers(String label, TensorType type, Shape shape) {
        if (type != TensorType.F32 && type != TensorType.F16 && type != TensorType.Q8_0) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED,
                    "tensor " + label + ": the KV cache is F32, F16 or Q8_0, not " + type);
        }
        if (shape.columns() % type.blockElements() != 0 || shape.columns() > Integer.MAX_VALUE) {
            throw DeviceException.invalid(
                    "tensor " + label + ": rows of " + shape.columns() + " values do not fill blocks of " + type);
        }
        long layer = bytes(label, type, shape.elements()) / shape.outer();
        List<Memory.Buffer> layers = new ArrayList<>();
        try {
            for (long i = 0; i < shape.outer(); i++) {
                layers.add(memory.allocate(queue, layer, "a layer of " + label));
            }
            return layers;
        } catch (DeviceException e) {
            layers.forEach(Memory.Buffer::close);
            throw e;
        }
    }

    @Override
    public synchronized void free(Tensor tensor) {
        if (tensor instanceof HostBytes) {
            return; // the garbage collector's
        }
        requireOpen();
        DeviceTensor own = DeviceTensor.of(this, tensor);
        quiesce();
        own.free();
        tensors.remove(own);
    }

    @Override
    public synchronized void write(Tensor target, long offset, ByteBuffer source) {
        if (target instanceof HostTensor hostTensor) {
            requireRange(target, offset, source.remaining());
            hostTensor.put(offset, source.duplicate());
            return;
        }
        requireOpen();
        Memory.Buffer buffer = activation(target, offset, source.remaining());
        ByteBuffer direct = source.isDirect()
                ? source.slice()
                : ByteBuffer.allocateDirect(source.remaining())
                        .put(source.duplicate())
                        .flip();
        waiting(() -> direct.hasRemaining()
                ? CL.clEnqueueWriteBuffer(
                        queue, buffer.memory(), true, offset, direct.remaining(), Pointer.to(direct), 0, null, null)
                : 0);
    }

    @Override
    public synchronized void read(Tensor source, long offset, ByteBuffer target) {
        if (target.isReadOnly()) {
            throw DeviceException.invalid("tensor " + source.label() + " cannot be read into a read-only buffer");
        }
        if (source instanceof HostTensor hostTensor) {
            requireRange(source, offset, target.remaining());
            sync();
            hostTensor.get(offset, target);
            return;
        }
        requireOpen();
        Memory.Buffer buffer = activation(source, offset, target.remaining());
        ByteBuffer direct = target.isDirect() ? target.slice() : ByteBuffer.allocateDirect(target.remaining());
        waiting(() -> direct.hasRemaining()
                ? CL.clEnqueueReadBuffer(
                        queue, buffer.memory(), true, offset, direct.remaining(), Pointer.to(direct), 0, null, null)
                : 0);
        if (!target.isDirect()) {
            target.duplicate().put(direct);
        }
    }

    private Memory.Buffer activation(Tensor tensor, long offset, int bytes) {
        DeviceTensor own = DeviceTensor.of(this, tensor);
        if (own.kind() != Tensor.Kind.ACTIVATION) {
            throw DeviceException.invalid(own.label() + " is no activation: only those are written and read");
        }
        requireRange(own, offset, bytes);
        return own.buffer();
    }

    private static void requireRange(Tensor tensor, long offset, int bytes) {
        if (offset < 0 || offset > tensor.bytes() - bytes) {
            throw DeviceException.invalid("bytes [" + offset + ", +" + bytes + ") are not within tensor "
                    + tensor.label() + " of " + tensor.bytes() + " bytes");
        }
    }

    @Override
    public synchronized Step newStep(StepOptions options) {
        requireOpen();
        if (options.activations() == Activations.EXACT) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED,
                    "exact activations are for the reference alone; " + info.device() + " has half and int8");
        }
        int block = options.activations().block();
        if (block != 0 && block != ACTIVATION_BLOCK) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED,
                    info.device() + " rounds activations in blocks of " + ACTIVATION_BLOCK);
        }
        long words = BatchLayout.of(options.batch()).end();
        Memory.Buffer batch = waiting(() -> memory.allocate(queue, words * Integer.BYTES, "a step's batch"));
        OpenClStep step = new OpenClStep(this, options, batch, new Composer(tuning, options, batch, scratch));
        steps.add(step);
        return step;
    }

    /** Ends composing: scratch memory, programs, kernels. */
    BoundStep bind(Composer composer, Memory.Buffer batch) {
        return waiting(() -> {
            CL.clFinish(queue); // the scratch memory may be exchanged
            scratch.reserve(composer.regionBytes());
            return new BoundStep(composer.commands(), batch, programs, scratch, queue);
        });
    }

    void forget(OpenClStep step) {
        if (open && steps.remove(step)) {
            quiesce();
            step.release();
        }
    }

    @Override
    public synchronized void run(Step step, Batch batch) {
        requireOpen();
        if (!(step instanceof OpenClStep own) || own.device() != this) {
            throw DeviceException.invalid("the step is of another device");
        }
        BoundStep bound = own.bound();
        if (!batch.shape().equals(step.options().batch())) {
            throw DeviceException.invalid("the batch is of another shape than the step");
        }
        // A copy: what is checked is what runs, whatever the caller does to its buffer meanwhile.
        int[] words = new int[batch.buffer().capacity() / Integer.BYTES];
        batch.buffer()
                .duplicate()
                .order(ByteOrder.LITTLE_ENDIAN)
                .clear()
                .asIntBuffer()
                .get(words);
        own.checkBatch(words);
        work.add(() -> bound.run(words, host), bound::abandon);
    }

    @Override
    public synchronized void sync() {
        requireOpen();
        waiting(() -> CL.clFinish(queue));
    }

    @Override
    public synchronized MemoryUse memory() {
        requireOpen();
        long weights = bytesOf(Tensor.Kind.WEIGHT);
        long kv = bytesOf(Tensor.Kind.KV);
        return new MemoryUse(weights, kv, memory.heldBytes() - weights - kv, 0);
    }

    private long bytesOf(Tensor.Kind kind) {
        return tensors.stream()
                .filter(tensor -> tensor.kind() == kind)
                .mapToLong(DeviceTensor::deviceBytes)
                .sum();
    }

    @Override
    public synchronized double readBandwidth(long bytes) {
        requireOpen();
        return waiting(() -> Bandwidth.measure(memory, queue, programs, tuning.rowLanes(), bytes));
    }

    @Override
    public synchronized boolean lost() {
        return lost;
    }

    @Override
    public void close() {
        synchronized (this) {
            if (!open) {
                return;
            }
            open = false;
        }
        leak.closed();
        work.close();
        synchronized (this) {
            quiesce();
            steps.forEach(OpenClStep::release);
            steps.clear();
            tensors.forEach(DeviceTensor::free);
            tensors.clear();
            loader.close();
            scratch.close();
            CL.clReleaseCommandQueue(queue);
        }
    }

    void requireOpen() {
        if (!open) {
            throw DeviceException.invalid(info.device() + " is closed");
        }
        if (lost) {
            throw new DeviceException(
                    DeviceException.Kind.LOST, info.device() + " is lost: close it, and look at the driver's log");
        }
    }

    /** Does what has to come after all that was queued so far, whose faults it reports. */
    private <T> T waiting(Supplier<T> call) {
        try {
            work.drain();
            return call.get();
        } catch (CLException e) {
            throw noted(Faults.running(e));
        } catch (DeviceException e) {
            throw noted(e);
        }
    }

    private DeviceException noted(DeviceException e) {
        lost |= e.kind() == DeviceException.Kind.LOST;
        return e;
    }

    /** Waits for what runs, whose faults are for whoever waits next. */
    private void quiesce() {
        work.settle();
        try {
            CL.clFinish(queue);
        } catch (CLException e) {
            lost = true;
        }
    }
}
