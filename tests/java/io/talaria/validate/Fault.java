package io.talaria.validate;

import io.talaria.backend.Batch;
import io.talaria.backend.Device;
import io.talaria.backend.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/** What a {@link FaultyDevice} does wrong in one verb: to the batch, to what the verb reads, or to what it wrote. */
abstract class Fault {
    /** One verb as it was composed: its tensors in the order of its parameters, and the first layer that attention named. */
    record Call(String verb, List<Tensor> tensors, int layer) {}

    private final String name;
    private final String verb;

    Fault(String name, String verb) {
        this.name = name;
        this.verb = verb;
    }

    String verb() {
        return verb;
    }

    /** The batch that the verb runs over in place of the right one. */
    Batch batch(Batch right) {
        return right;
    }

    void before(Device device, Call call, Batch batch) {}

    void after(Device device, Call call, Batch batch) {}

    @Override
    public String toString() {
        return name;
    }

    /** All of a tensor. */
    static ByteBuffer read(Device device, Tensor tensor) {
        ByteBuffer bytes =
                ByteBuffer.allocateDirect(Math.toIntExact(tensor.bytes())).order(ByteOrder.LITTLE_ENDIAN);
        device.read(tensor, 0, bytes);
        return bytes.clear().order(ByteOrder.LITTLE_ENDIAN);
    }

    static void write(Device device, Tensor tensor, ByteBuffer bytes) {
        device.write(tensor, 0, bytes.clear());
    }

    static int columns(Tensor tensor) {
        return Math.toIntExact(tensor.shape().columns());
    }
}
