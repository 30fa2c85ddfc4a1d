package io.talaria.backend.jni;

import io.talaria.backend.DeviceException;
import io.talaria.backend.Shape;
import io.talaria.backend.Tensor;
import io.talaria.quant.TensorType;

/** A tensor behind the C ABI. */
record NativeTensor(long handle, String label, Kind kind, TensorType type, Shape shape) implements Tensor {
    /** The handle of a tensor that must be of a native device. */
    static long handleOf(Tensor tensor) {
        if (tensor instanceof NativeTensor nativeTensor) {
            return nativeTensor.handle;
        }
        throw DeviceException.invalid(
                "tensor " + (tensor == null ? "null" : tensor.label()) + " is of another backend");
    }
}
