package io.talaria.backend.opencl;

import io.talaria.backend.DeviceException;
import io.talaria.backend.Shape;
import io.talaria.backend.Tensor;
import io.talaria.quant.TensorType;
import java.util.List;

/**
 * A tensor in the buffers of a device.
 *
 * <p>Its memory lives until it is freed and the last step that uses it is closed, as kernels hold on to no buffer. Guarded by
 * its device.
 */
final class DeviceTensor implements Tensor {
    /**
     * A buffer with a part of a weight: {@code planes} matrices from {@code firstPlane} on, and of each {@code rows} rows
     * from {@code firstRow} on. A part holds whole matrices, or rows of one.
     */
    record Part(Memory.Buffer buffer, int firstPlane, int planes, int firstRow, int rows, WeightLayout layout) {}

    private final OpenClDevice device;
    private final String label;
    private final Kind kind;
    private final TensorType type;
    private final Shape shape;
    private final List<Memory.Buffer> buffers;
    private final List<Part> parts;
    private boolean freed;
    private int users = 1;

    private DeviceTensor(
            OpenClDevice device,
            String label,
            Kind kind,
            TensorType type,
            Shape shape,
            List<Memory.Buffer> buffers,
            List<Part> parts) {
        this.device = device;
        this.label = label;
        this.kind = kind;
        this.type = type;
        this.shape = shape;
        this.buffers = buffers;
        this.parts = parts;
    }

    /** An activation, in one buffer; or half of a cache, in one for each layer. */
    static DeviceTensor of(
            OpenClDevice device, String label, Kind kind, TensorType type, Shape shape, List<Memory.Buffer> buffers) {
        return new DeviceTensor(device, label, kind, type, shape, buffers, List.of());
    }

    static DeviceTensor weight(OpenClDevice device, String label, TensorType type, Shape shape, List<Part> parts) {
        return new DeviceTensor(
                device,
                label,
                Kind.WEIGHT,
                type,
                shape,
                parts.stream().map(Part::buffer).toList(),
                parts);
    }

    /** A tensor that must be of this device and not freed. */
    static DeviceTensor of(OpenClDevice device, Tensor tensor) {
        if (!(tensor instanceof DeviceTensor own) || own.device != device) {
            throw DeviceException.invalid(
                    "tensor " + (tensor == null ? "null" : tensor.label()) + " is of another device");
        }
        if (own.freed) {
            throw DeviceException.invalid("tensor " + own.label + " was freed");
        }
        return own;
    }

    @Override
    public String label() {
        return label;
    }

    @Override
    public Kind kind() {
        return kind;
    }

    @Override
    public TensorType type() {
        return type;
    }

    @Override
    public Shape shape() {
        return shape;
    }

    /** Of all of its buffers. */
    long deviceBytes() {
        return buffers.stream().mapToLong(Memory.Buffer::bytes).sum();
    }

    /** Of an activation. */
    Memory.Buffer buffer() {
        return buffers.getFirst();
    }

    /** Of a cache's layer. */
    Memory.Buffer layer(int layer) {
        return buffers.get(layer);
    }

    List<Part> parts() {
        return parts;
    }

    /** The part of a weight that is not cut up. */
    Part whole() {
        if (parts.size() != 1) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED,
                    "tensor " + label + " is larger than a buffer of this device, and what reads it wants it in one");
        }
        return parts.getFirst();
    }

    void retain() {
        users++;
    }

    void release() {
        users--;
        if (users == 0) {
            buffers.forEach(Memory.Buffer::close);
        }
    }

    void free() {
        freed = true;
        release();
    }
}
