package io.talaria.backend.opencl;

import io.talaria.backend.DeviceException;
import io.talaria.backend.KvCache;
import io.talaria.backend.Shape;
import io.talaria.backend.Tensor;
import io.talaria.quant.TensorType;
import java.util.Arrays;

/**
 * The checks of a verb's tensors: kind, type and shape, as {@code native/src/checks.cpp} does for native devices. What
 * passes leads no kernel out of bounds, whatever the tensors contain.
 */
final class VerbChecks {
    /** Of a batch's pairs (row, slot): they can then be counted in 32 bits. */
    private static final int MOST_EXPERTS = 512;

    private static final long ANY = -1;
    private static final float MOST = 1e30f;

    private final OpenClDevice device;
    private final String verb;
    private final int rows;

    /**
     * @param rows the step's capacity
     */
    VerbChecks(OpenClDevice device, String verb, int rows) {
        this.device = device;
        this.verb = verb;
        this.rows = rows;
    }

    /** A weight of shape {@code [planes][rows][columns]}. */
    DeviceTensor weight(Tensor tensor, String name, long planes, long weightRows, long columns) {
        DeviceTensor own = DeviceTensor.of(device, tensor);
        require(own.kind() == Tensor.Kind.WEIGHT, name, "is no weight");
        shape(own, name, 1, planes, weightRows, columns);
        return own;
    }

    DeviceTensor norm(Tensor tensor, long columns) {
        DeviceTensor own = weight(tensor, "norm", 1, 1, columns);
        require(own.type() == TensorType.F32, "norm", "must be F32");
        own.whole();
        return own;
    }

    DeviceTensor router(Tensor tensor, long columns) {
        DeviceTensor own = weight(tensor, "router", 1, ANY, columns);
        require(!own.type().quantised(), "router", "must be F32, F16 or BF16");
        require(own.shape().rows() <= MOST_EXPERTS, "router", "has more than " + MOST_EXPERTS + " experts");
        own.whole();
        return own;
    }

    /** {@code [L][F][H]}, of at most so many experts. */
    DeviceTensor experts(Tensor tensor, String name, long planes, long weightRows, long columns) {
        DeviceTensor own = weight(tensor, name, planes, weightRows, columns);
        require(own.shape().planes() <= MOST_EXPERTS, name, "has more than " + MOST_EXPERTS + " experts");
        return own;
    }

    /** An F32 activation {@code [at least the step's rows][columns]}. */
    DeviceTensor floats(Tensor tensor, String name, long columns) {
        return activation(tensor, name, TensorType.F32, columns, rows);
    }

    /** {@code [rows][2 * K]} I32. */
    DeviceTensor routing(Tensor tensor) {
        DeviceTensor own = activation(tensor, "routing", TensorType.I32, ANY, rows);
        long columns = own.shape().columns();
        require(
                columns % 2 == 0 && columns <= 2 * MOST_EXPERTS,
                "routing",
                "rows are not ids and weights of up to " + MOST_EXPERTS + " experts");
        return own;
    }

    DeviceTensor activation(Tensor tensor, String name, TensorType type, long columns, int least) {
        DeviceTensor own = plain(tensor, name, type);
        shape(own, name, 1, 1, ANY, columns);
        require(own.shape().rows() >= least, name, "has fewer rows than the step");
        return own;
    }

    /** {@code [S][at least the step's rows][K][H]} */
    DeviceTensor slots(Tensor tensor, long used, long hidden) {
        DeviceTensor own = plain(tensor, "slots", TensorType.F32);
        shape(own, "slots", ANY, ANY, used, hidden);
        require(own.shape().planes() >= rows, "slots", "has fewer rows than the step");
        return own;
    }

    /** {@code [E]} I32. */
    DeviceTensor map(Tensor tensor) {
        DeviceTensor own = plain(tensor, "map", TensorType.I32);
        shape(own, "map", 1, 1, 1, ANY);
        return own;
    }

    private DeviceTensor plain(Tensor tensor, String name, TensorType type) {
        DeviceTensor own = DeviceTensor.of(device, tensor);
        require(own.kind() == Tensor.Kind.ACTIVATION && own.type() == type, name, "is no " + type + " activation");
        return own;
    }

    /** Both halves of a cache; the first is returned. */
    DeviceTensor cache(KvCache kv, int layer) {
        DeviceTensor keys = DeviceTensor.of(device, kv.keys());
        DeviceTensor values = DeviceTensor.of(device, kv.values());
        require(keys.kind() == Tensor.Kind.KV, "keys", "is no KV tensor");
        require(
                values.kind() == Tensor.Kind.KV && values.type() == keys.type() && values != keys,
                "values",
                "is no other KV tensor of the type of keys");
        Shape s = keys.shape();
        shape(values, "values", s.outer(), s.planes(), s.rows(), s.columns());
        require(layer >= 0 && layer < s.outer(), "keys", "has no such layer");
        int dim = kv.headDim();
        require(dim > 0 && dim % 2 == 0 && s.columns() % dim == 0, "keys", "rows are no whole heads");
        require(
                keys.type() != TensorType.Q8_0 || dim % 32 == 0,
                "keys",
                "in Q8_0 need heads of a multiple of 32 values");
        return keys;
    }

    /** Once all else has been checked: the step's batches have to do with this cache. */
    void useCache(BatchChecks batches, DeviceTensor keys, boolean writes) {
        boolean fits = batches.useCache(keys.shape().planes(), keys.shape().rows(), writes);
        require(fits, "keys", "has other blocks than the cache of an earlier verb");
    }

    void heads(DeviceTensor q, KvCache kv) {
        long width = q.shape().columns();
        require(width % kv.headDim() == 0, "q", "rows are no whole heads");
        require(width / kv.headDim() % (kv.width() / kv.headDim()) == 0, "q", "heads are no multiple of the KV heads");
    }

    void differ(String name, DeviceTensor written, DeviceTensor read) {
        require(written != read, name, "is written and read by the same verb");
    }

    void positive(float value, String name) {
        require(value > 0 && value <= MOST, name, "must be positive and finite");
    }

    private void shape(DeviceTensor tensor, String name, long outer, long planes, long tensorRows, long columns) {
        Shape s = tensor.shape();
        long[] is = {s.outer(), s.planes(), s.rows(), s.columns()};
        long[] expected = {outer, planes, tensorRows, columns};
        for (int i = 0; i < is.length; i++) {
            require(
                    expected[i] == ANY || is[i] == expected[i],
                    name,
                    "has shape " + s + ", expected " + Arrays.toString(expected) + " (-1: any)");
        }
    }

    void require(boolean ok, String name, String why) {
        if (!ok) {
            throw DeviceException.invalid(verb + ": " + name + " " + why);
        }
    }
}
