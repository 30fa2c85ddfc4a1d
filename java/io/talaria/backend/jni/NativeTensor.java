package io.talaria.backend.jni;

import io.talaria.backend.DeviceException;
import io.talaria.backend.HostTensor;
import io.talaria.backend.Shape;
import io.talaria.backend.Tensor;
import io.talaria.quant.TensorType;
import java.nio.ByteBuffer;

/** A tensor behind the C ABI. */
sealed interface NativeTensor extends Tensor {
    long handle();

    /** In a device's memory. */
    record OnDevice(long handle, String label, Kind kind, TensorType type, Shape shape) implements NativeTensor {}

    /** In host memory that belongs to no device. */
    record OnHost(long handle, String label, TensorType type, Shape shape) implements NativeTensor, HostTensor {
        @Override
        public Kind kind() {
            return Kind.HOST;
        }

        @Override
        public void put(long offset, ByteBuffer source) {
            NativeStatus status = new NativeStatus();
            ByteBuffer direct =
                    direct(source.remaining()).put(source.duplicate()).flip();
            status.check(Native.talaria_write(0, handle, offset, direct, direct.remaining(), status.buffer()));
        }

        @Override
        public void get(long offset, ByteBuffer target) {
            NativeStatus status = new NativeStatus();
            ByteBuffer direct = direct(target.remaining());
            status.check(Native.talaria_read(0, handle, offset, direct, direct.remaining(), status.buffer()));
            target.duplicate().put(direct);
        }

        private static ByteBuffer direct(int bytes) {
            return ByteBuffer.allocateDirect(bytes);
        }
    }

    /** The handle of a tensor that must be of a native device. */
    static long handleOf(Tensor tensor) {
        return of(tensor).handle();
    }

    /** A tensor that must be of a native device. */
    static NativeTensor of(Tensor tensor) {
        if (tensor instanceof NativeTensor nativeTensor) {
            return nativeTensor;
        }
        throw DeviceException.invalid(
                "tensor " + (tensor == null ? "null" : tensor.label()) + " is of another backend");
    }
}
