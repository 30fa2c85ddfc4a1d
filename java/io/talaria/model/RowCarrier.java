package io.talaria.model;

import io.talaria.backend.Device;
import io.talaria.backend.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Brings rows from one device to another through host memory, in a buffer that it keeps. */
public final class RowCarrier {
    private ByteBuffer travelling = ByteBuffer.allocateDirect(0);

    /** Bytes from the beginning of one device's activation into another's at an offset, once both are that far. */
    public void carry(Device from, Tensor source, Device to, Tensor target, long targetOffset, int bytes) {
        if (travelling.capacity() < bytes) {
            travelling = ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
        }
        from.read(source, 0, travelling.clear().limit(bytes));
        to.write(target, targetOffset, travelling.clear().limit(bytes));
    }
}
