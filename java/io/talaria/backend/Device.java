package io.talaria.backend;

import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * An open device with one queue. It owns every tensor and step made on it; the garbage collector frees nothing.
 *
 * <p>Verbs and {@link #run} only enqueue. {@link #read} and {@link #sync} wait, and report what failed meanwhile.
 * Any call may throw {@link DeviceException}.
 */
public interface Device extends AutoCloseable {
    /** Which devices the events and host tensors are for that a device makes. */
    enum Meeting {
        /** For none: its steps neither signal nor wait, and copy only between its own tensors. */
        NOBODY,
        /** For devices that are written in Java. */
        JAVA,
        /** For all whose steps meet others. */
        ALL
    }

    DeviceInfo info();

    /** Whether its steps meet those of other devices, and whom it can make events and host tensors for. */
    default Meeting meeting() {
        return Meeting.NOBODY;
    }

    /** Whether this device's steps can copy from and to {@link Tensor.Kind#PEER} tensors in the other's memory. */
    default boolean reaches(Device other) {
        return false;
    }

    /**
     * A second queue of the same hardware, whose steps only copy, signal and wait, at the same time as this one's compute. They
     * reach {@link Tensor.Kind#PEER} tensors of this device. It is opened when it is first asked for, and closed with this
     * device.
     *
     * @return empty if there is none
     */
    default Optional<Device> courier() {
        return Optional.empty();
    }

    /**
     * Makes an event with a count of 0. It belongs to no device.
     *
     * @throws DeviceException if the device's steps meet nobody
     */
    default Event newEvent() {
        throw new DeviceException(
                DeviceException.Kind.UNSUPPORTED, info().device() + " takes no part in what several devices do");
    }

    /**
     * Copies a weight to the device.
     *
     * @throws IOException if the source cannot be read
     */
    Tensor load(TensorSource source) throws IOException;

    /**
     * Copies other values into a weight that was loaded, after all work queued so far. The source is of the weight's type and
     * has rows and planes of its size; with fewer planes it fills the first of them. If it cannot be read, the weight has some
     * of the new rows and some of the old, until it is loaded again as a whole.
     *
     * @throws IOException if the source cannot be read
     * @throws DeviceException if it does not fit, or this device does not do it
     */
    default void reload(Tensor weight, TensorSource source) throws IOException {
        throw new DeviceException(
                DeviceException.Kind.UNSUPPORTED, info().device() + " loads a weight once and leaves it as it is");
    }

    /**
     * Allocates a tensor of zeros: an {@link Tensor.Kind#ACTIVATION} (F32 or I32), a {@link Tensor.Kind#KV}, or, if it meets
     * others, a {@link Tensor.Kind#HOST} (F32 or I32), or, if others reach it, a {@link Tensor.Kind#PEER} (F32 or I32).
     */
    Tensor alloc(String label, Tensor.Kind kind, TensorType type, Shape shape);

    /** Frees a tensor before the device is closed. */
    void free(Tensor tensor);

    /** Copies all of {@code source} into an activation at a byte offset, little-endian. */
    void write(Tensor target, long offset, ByteBuffer source);

    /** Fills {@code target} from an activation at a byte offset, little-endian, after all work queued so far. */
    void read(Tensor source, long offset, ByteBuffer target);

    /** Begins a step. */
    Step newStep(StepOptions options);

    /** Queues one run of a step over a batch of its shape. The batch may be refilled on return. */
    void run(Step step, Batch batch);

    /** Waits until the queue is empty. */
    void sync();

    /**
     * Bytes per second, in 10^9, that the device reads from so much of its memory: what decoding is measured against.
     *
     * @throws DeviceException if it does not measure this, or has not so much memory free
     */
    double readBandwidth(long bytes);

    /**
     * What is allocated on this device, with its {@link #courier} if that is open, or would be if it did not only plan.
     *
     * @throws DeviceException if it does not count that
     */
    default MemoryUse memory() {
        throw new DeviceException(
                DeviceException.Kind.UNSUPPORTED, info().device() + " does not count the memory that it takes");
    }

    /** True for ever after a sticky fault: the device can only be closed. */
    boolean lost();

    /** Frees everything of this device. Closing twice does nothing. */
    @Override
    void close();
}
