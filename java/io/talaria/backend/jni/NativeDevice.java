package io.talaria.backend.jni;

import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.Event;
import io.talaria.backend.LeakReport;
import io.talaria.backend.MemoryUse;
import io.talaria.backend.Shape;
import io.talaria.backend.StagedReader;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.backend.TensorSource;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/**
 * A device behind the C ABI. Native code checks handles, shapes and sizes again; what is checked here is what gives a
 * better sentence. Calls are serialised, so that the status belongs to the call that reads it.
 */
final class NativeDevice implements Device {
    private static final Set<TensorType> WEIGHTS = EnumSet.of(
            TensorType.F32,
            TensorType.F16,
            TensorType.BF16,
            TensorType.Q4_0,
            TensorType.Q8_0,
            TensorType.Q4_K,
            TensorType.Q5_K,
            TensorType.Q6_K);
    private static final int DESC_BYTES = 112;
    private static final int DESC_LABEL = 48;
    private static final int LABEL_BYTES = 63;
    private static final int STEP_OPTIONS_BYTES = 48;
    private static final int MEMORY_BYTES = 40;
    private static final int MAX_ROW_BYTES = 64 << 20;

    private final DeviceInfo info;
    private final boolean planOnly;
    private final NativeStatus status = new NativeStatus();
    private final StagedReader reader = new StagedReader();
    private final Set<Long> steps = new HashSet<>();
    private final Set<Long> ownerless = new HashSet<>(); // tensors that belong to no device, but were made here
    private final LeakReport leak;
    private volatile long handle; // others ask for it, who hold their own lock
    private boolean lost;
    private Supplier<NativeDevice> courierOpener = () -> null;
    private NativeDevice courier;
    private boolean courierKnown;

    /** @param planOnly whether the device only counts what is made on it, so that nothing need be copied there */
    NativeDevice(DeviceInfo info, long handle, boolean planOnly) {
        this.info = info;
        this.planOnly = planOnly;
        this.handle = handle;
        this.leak = new LeakReport(this, "device " + info.device());
    }

    @Override
    public DeviceInfo info() {
        return info;
    }

    @Override
    public Meeting meeting() {
        return Meeting.ALL;
    }

    @Override
    public synchronized boolean reaches(Device other) {
        return other instanceof NativeDevice device
                && Native.talaria_device_reaches(open(), device.open(), status.buffer()) != 0;
    }

    /** Says how the device's second queue is opened. */
    void courierFrom(Supplier<NativeDevice> opener) {
        courierOpener = opener;
    }

    @Override
    public synchronized Optional<Device> courier() {
        open();
        if (!courierKnown) {
            try {
                courier = courierOpener.get();
            } catch (DeviceException e) {
                if (e.kind() != DeviceException.Kind.UNSUPPORTED) {
                    throw e;
                }
            }
            courierKnown = true;
        }
        return Optional.ofNullable(courier);
    }

    @Override
    public Event newEvent() {
        return new NativeEvent();
    }

    @Override
    public synchronized Tensor load(TensorSource source) throws IOException {
        if (!WEIGHTS.contains(source.type())) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED,
                    "tensor " + source.name() + ": " + info.device() + " does not compute with " + source.type()
                            + " weights; the device 'reference' does, or quantise the model to one of " + WEIGHTS);
        }
        NativeTensor tensor = newTensor(source.name(), Tensor.Kind.WEIGHT, source.type(), source.shape());
        try {
            if (!planOnly) {
                copy(source, tensor);
            }
            return tensor;
        } catch (IOException | RuntimeException e) {
            try {
                free(tensor);
            } catch (DeviceException second) {
                e.addSuppressed(second);
            }
            throw e;
        }
    }

    @Override
    public synchronized void reload(Tensor weight, TensorSource source) throws IOException {
        NativeTensor tensor = NativeTensor.of(weight);
        tensor.requireFit(source);
        if (!planOnly) {
            copy(source, tensor);
        }
    }

    /** Fills a tensor's first planes, or all of it. */
    private void copy(TensorSource source, NativeTensor tensor) throws IOException {
        long rowBytes = source.type().bytes(source.shape().columns());
        if (rowBytes > MAX_ROW_BYTES) {
            throw DeviceException.invalid("tensor " + source.name() + " has rows of " + rowBytes + " bytes; at most "
                    + MAX_ROW_BYTES + " can be loaded");
        }
        reader.read(
                source,
                (int) rowBytes,
                source.type().bytes(source.shape().elements()),
                (at, piece) -> check(
                        Native.talaria_write(open(), tensor.handle(), at, piece, piece.remaining(), status.buffer())));
    }

    @Override
    public synchronized Tensor alloc(String label, Tensor.Kind kind, TensorType type, Shape shape) {
        if (kind == Tensor.Kind.WEIGHT) {
            throw DeviceException.invalid("tensor " + label + ": weights are loaded, not allocated");
        }
        return newTensor(label, kind, type, shape);
    }

    private NativeTensor newTensor(String label, Tensor.Kind kind, TensorType type, Shape shape) {
        ByteBuffer desc = ByteBuffer.allocateDirect(DESC_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        desc.putInt(DESC_BYTES).putInt(kindCode(kind)).putInt(type.id()).putInt(0);
        desc.putLong(shape.outer())
                .putLong(shape.planes())
                .putLong(shape.rows())
                .putLong(shape.columns());
        byte[] name = label.getBytes(StandardCharsets.UTF_8);
        desc.put(DESC_LABEL, name, 0, Math.min(name.length, LABEL_BYTES));
        long owner = kind == Tensor.Kind.HOST ? 0 : open();
        long tensor = checkHandle(Native.talaria_tensor_new(owner, desc.clear(), DESC_BYTES, status.buffer()));
        if (belongsToNone(kind)) {
            ownerless.add(tensor);
        }
        if (kind == Tensor.Kind.HOST) {
            return new NativeTensor.OnHost(tensor, label, type, shape);
        }
        return new NativeTensor.OnDevice(tensor, label, kind, type, shape);
    }

    private static boolean belongsToNone(Tensor.Kind kind) {
        return kind == Tensor.Kind.HOST || kind == Tensor.Kind.PEER;
    }

    private static int kindCode(Tensor.Kind kind) {
        return switch (kind) {
            case WEIGHT -> Native.TALARIA_WEIGHT;
            case ACTIVATION -> Native.TALARIA_ACTIVATION;
            case KV -> Native.TALARIA_KV;
            case HOST -> Native.TALARIA_HOST;
            case PEER -> Native.TALARIA_PEER;
        };
    }

    @Override
    public synchronized void free(Tensor tensor) {
        long owner = belongsToNone(tensor.kind()) ? 0 : open();
        long freed = NativeTensor.handleOf(tensor);
        check(Native.talaria_tensor_free(owner, freed, status.buffer()));
        ownerless.remove(freed);
    }

    @Override
    public synchronized void write(Tensor target, long offset, ByteBuffer source) {
        if (planOnly) {
            return;
        }
        ByteBuffer direct = source;
        if (!source.isDirect()) {
            direct = ByteBuffer.allocateDirect(source.remaining())
                    .put(source.duplicate())
                    .flip();
        }
        check(Native.talaria_write(
                open(), NativeTensor.handleOf(target), offset, direct.slice(), direct.remaining(), status.buffer()));
    }

    @Override
    public synchronized void read(Tensor source, long offset, ByteBuffer target) {
        if (target.isReadOnly()) {
            throw DeviceException.invalid("tensor " + source.label() + " cannot be read into a read-only buffer");
        }
        int length = target.remaining();
        ByteBuffer direct = target.isDirect() ? target.slice() : ByteBuffer.allocateDirect(length);
        check(Native.talaria_read(open(), NativeTensor.handleOf(source), offset, direct, length, status.buffer()));
        if (!target.isDirect()) {
            target.duplicate().put(direct);
        }
    }

    @Override
    public synchronized Step newStep(StepOptions options) {
        int mode = switch (options.activations()) {
            case HALF -> Native.TALARIA_ACTIVATIONS_HALF;
            case INT8, INT8_256 -> Native.TALARIA_ACTIVATIONS_INT8;
            case EXACT ->
                throw new DeviceException(
                        DeviceException.Kind.UNSUPPORTED,
                        "exact activations are for the reference alone; " + info.device() + " has half and int8");
        };
        if (options.activations().block() != 0 && options.activations().block() != info.activationBlock()) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED,
                    info.device() + " rounds activations in blocks of " + info.activationBlock());
        }
        BatchShape shape = options.batch();
        ByteBuffer bytes = ByteBuffer.allocateDirect(STEP_OPTIONS_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(STEP_OPTIONS_BYTES).putInt(mode);
        bytes.putInt(shape.rows()).putInt(shape.wanted()).putInt(shape.tables()).putInt(shape.blocks());
        bytes.putInt(shape.targets())
                .putInt(shape.adjustments())
                .putInt(shape.maskWords())
                .putInt(0);
        bytes.putInt(options.batchInvariant() ? 1 : 0).putInt(0);
        long step = checkHandle(Native.talaria_step_new(open(), bytes.clear(), STEP_OPTIONS_BYTES, status.buffer()));
        steps.add(step);
        return new NativeStep(this, step, options);
    }

    synchronized void append(NativeStep step, OpArgs args) {
        ByteBuffer bytes = args.bytes();
        check(Native.talaria_step_append(open(), step.handle(), args.op(), bytes, bytes.remaining(), status.buffer()));
    }

    synchronized void endStep(NativeStep step) {
        check(Native.talaria_step_end(open(), step.handle(), status.buffer()));
    }

    synchronized void freeStep(NativeStep step) {
        if (handle != 0 && steps.remove(step.handle())) {
            check(Native.talaria_step_free(handle, step.handle(), status.buffer()));
        }
    }

    @Override
    public synchronized void run(Step step, Batch batch) {
        if (!(step instanceof NativeStep nativeStep) || nativeStep.device() != this) {
            throw DeviceException.invalid("the step is of another device");
        }
        ByteBuffer words = batch.buffer();
        check(Native.talaria_run(open(), nativeStep.handle(), words, words.capacity(), status.buffer()));
    }

    @Override
    public synchronized void sync() {
        check(Native.talaria_sync(open(), status.buffer()));
    }

    @Override
    public synchronized double readBandwidth(long bytes) {
        double result = Native.talaria_read_bandwidth(open(), bytes, status.buffer());
        check(result > 0 ? Native.TALARIA_OK : status.code());
        return result;
    }

    @Override
    public synchronized MemoryUse memory() {
        ByteBuffer memory = ByteBuffer.allocateDirect(MEMORY_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        memory.putInt(0, MEMORY_BYTES);
        check(Native.talaria_device_get_memory(open(), memory, MEMORY_BYTES, status.buffer()));
        MemoryUse own = new MemoryUse(memory.getLong(8), memory.getLong(16), memory.getLong(24), memory.getLong(32));
        return courier == null ? own : own.plus(courier.memory());
    }

    @Override
    public synchronized boolean lost() {
        return lost || courier != null && courier.lost();
    }

    @Override
    public synchronized void close() {
        if (handle != 0) {
            long closing = handle;
            handle = 0;
            leak.closed();
            steps.clear();
            try {
                if (courier != null) {
                    courier.close();
                }
            } finally {
                int code = Native.talaria_device_close(closing, status.buffer());
                // Steps of others keep those that they use.
                NativeStatus ignored = new NativeStatus();
                ownerless.forEach(tensor -> Native.talaria_tensor_free(0, tensor, ignored.buffer()));
                ownerless.clear();
                status.check(code);
            }
        }
    }

    private long open() {
        if (handle == 0) {
            throw DeviceException.invalid(info.device() + " is closed");
        }
        return handle;
    }

    private void check(int code) {
        lost |= code == Native.TALARIA_LOST;
        status.check(code);
    }

    private long checkHandle(long created) {
        lost |= created == 0 && status.code() == Native.TALARIA_LOST;
        return status.checkHandle(created);
    }
}
