package io.talaria.backend.opencl;

import io.talaria.backend.HostTensor;
import io.talaria.backend.Shape;
import io.talaria.quant.TensorType;
import java.nio.ByteBuffer;

/** A host tensor that an OpenCL device made: plain memory of this process. */
record HostBytes(String label, TensorType type, Shape shape, ByteBuffer memory) implements HostTensor {
    @Override
    public synchronized void put(long offset, ByteBuffer source) {
        memory.put(Math.toIntExact(offset), source, source.position(), source.remaining());
    }

    @Override
    public synchronized void get(long offset, ByteBuffer target) {
        target.duplicate().put(memory.slice(Math.toIntExact(offset), target.remaining()));
    }
}
