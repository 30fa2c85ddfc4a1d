package io.talaria.backend.reference;

import io.talaria.backend.Batch;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.Shape;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.backend.TensorSource;
import io.talaria.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Runs each step at once, on the caller's thread. */
final class ReferenceDevice implements Device {
    private final DeviceInfo info;
    private boolean closed;

    ReferenceDevice(DeviceInfo info) {
        this.info = info;
    }

    @Override
    public DeviceInfo info() {
        return info;
    }

    /** Keeps the source itself: it must stay readable for as long as this device is used. */
    @Override
    public Tensor load(TensorSource source) {
        requireOpen();
        return new ReferenceTensor.Weight(source);
    }

    /** Keeps the other source: planes that it has not must not be used. */
    @Override
    public void reload(Tensor weight, TensorSource source) {
        requireOpen();
        weight.requireFit(source);
        ReferenceTensor.weight(weight).replace(source);
    }

    @Override
    public Tensor alloc(String label, Tensor.Kind kind, TensorType type, Shape shape) {
        requireOpen();
        try {
            int elements = Math.toIntExact(shape.elements());
            if (kind == Tensor.Kind.ACTIVATION && type == TensorType.F32) {
                return new ReferenceTensor.Floats(label, shape, new double[elements]);
            }
            if (kind == Tensor.Kind.ACTIVATION && type == TensorType.I32) {
                return new ReferenceTensor.Ints(label, shape, new int[elements]);
            }
            if (kind == Tensor.Kind.KV) {
                return allocKv(label, type, shape);
            }
        } catch (ArithmeticException | OutOfMemoryError e) {
            throw new DeviceException(
                    DeviceException.Kind.OUT_OF_MEMORY,
                    "tensor " + label + " of shape " + shape + " does not fit in the Java heap; give it more with -Xmx",
                    e);
        }
        throw DeviceException.invalid("tensor " + label + ": the reference has no " + type + " tensor of kind " + kind);
    }

    private static Tensor allocKv(String label, TensorType type, Shape shape) {
        if (type != TensorType.F32 && type != TensorType.F16 && type != TensorType.Q8_0) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED,
                    "tensor " + label + ": the KV cache is F32, F16 or Q8_0, not " + type);
        }
        int blocks = Math.toIntExact(Math.multiplyExact(shape.outer(), shape.planes()));
        return new ReferenceTensor.Kv(label, type, shape, new double[blocks][]);
    }

    @Override
    public void free(Tensor tensor) {
        requireOpen(); // the garbage collector does the rest
    }

    @Override
    public void write(Tensor target, long offset, ByteBuffer source) {
        requireOpen();
        int at = words(target, offset, source.remaining());
        ByteBuffer from = source.duplicate().order(ByteOrder.LITTLE_ENDIAN);
        while (from.hasRemaining()) {
            if (target instanceof ReferenceTensor.Ints ints) {
                ints.values()[at++] = from.getInt();
            } else {
                ReferenceTensor.floats(target).values()[at++] = from.getFloat();
            }
        }
    }

    @Override
    public void read(Tensor source, long offset, ByteBuffer target) {
        requireOpen();
        if (target.isReadOnly()) {
            throw DeviceException.invalid("tensor " + source.label() + " cannot be read into a read-only buffer");
        }
        int at = words(source, offset, target.remaining());
        ByteBuffer to = target.duplicate().order(ByteOrder.LITTLE_ENDIAN);
        while (to.hasRemaining()) {
            if (source instanceof ReferenceTensor.Ints ints) {
                to.putInt(ints.values()[at++]);
            } else {
                to.putFloat((float) ReferenceTensor.floats(source).values()[at++]);
            }
        }
    }

    private static int words(Tensor tensor, long offset, int bytes) {
        if (tensor.kind() != Tensor.Kind.ACTIVATION) {
            throw DeviceException.invalid(tensor.label() + " is no activation: only those are written and read");
        }
        if (offset < 0 || offset % 4 != 0 || bytes % 4 != 0 || offset > tensor.bytes() - bytes) {
            throw DeviceException.invalid("bytes [" + offset + ", +" + bytes + ") are not within tensor "
                    + tensor.label() + " of " + tensor.bytes() + " bytes");
        }
        return Math.toIntExact(offset / 4);
    }

    @Override
    public Step newStep(StepOptions options) {
        requireOpen();
        return new ReferenceStep(this, options);
    }

    @Override
    public void run(Step step, Batch batch) {
        requireOpen();
        if (!(step instanceof ReferenceStep own) || own.device() != this) {
            throw DeviceException.invalid("the step is of another device");
        }
        if (!batch.shape().equals(step.options().batch())) {
            throw DeviceException.invalid("the batch is of another shape than the step");
        }
        own.run(batch);
    }

    @Override
    public void sync() {
        requireOpen();
    }

    @Override
    public double readBandwidth(long bytes) {
        throw new DeviceException(
                DeviceException.Kind.UNSUPPORTED, "the reference is for checking; its speed is not measured");
    }

    @Override
    public boolean lost() {
        return false;
    }

    @Override
    public void close() {
        closed = true;
    }

    private void requireOpen() {
        if (closed) {
            throw DeviceException.invalid("the reference device is closed");
        }
    }
}
