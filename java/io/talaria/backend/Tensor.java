package io.talaria.backend;

import io.talaria.quant.TensorType;

/** A tensor that lives on a device. The device owns its memory; {@link Device#free} gives it back early. */
public interface Tensor {
    /** What a tensor is for, and so how it may be used. */
    enum Kind {
        /** Written once by {@link Device#load}; laid out as the device likes. */
        WEIGHT,
        /** F32 or I32 rows that steps write and {@link Device#read} reads. */
        ACTIVATION,
        /** Half of a KV cache, {@code [layers][blocks][positions per block][G * D]}; laid out as the device likes. */
        KV,
        /** F32 or I32 in host memory that every native device can copy from and to. */
        HOST
    }

    /** A name for messages and memory reports. */
    String label();

    Kind kind();

    TensorType type();

    Shape shape();

    /** The bytes that the values take in their type. */
    default long bytes() {
        return type().bytes(shape().elements());
    }
}
