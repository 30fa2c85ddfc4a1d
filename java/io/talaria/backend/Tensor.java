package io.talaria.backend;

import io.talaria.quant.TensorType;

/** A tensor that lives on a device. The device owns its memory; {@link Device#free} gives it back early. */
public interface Tensor {
    /** What a tensor is for, and so how it may be used. */
    enum Kind {
        /** Written by {@link Device#load} and {@link Device#reload} alone; laid out as the device likes. */
        WEIGHT,
        /** F32 or I32 rows that steps write and {@link Device#read} reads. */
        ACTIVATION,
        /** Half of a KV cache, {@code [layers][blocks][positions per block][G * D]}; laid out as the device likes. */
        KV,
        /** F32 or I32 in host memory that every native device can copy from and to. */
        HOST,
        /** F32 or I32 in the memory of a device, that it and those which reach it can copy from and to. */
        PEER
    }

    /** A name for messages and memory reports. */
    String label();

    Kind kind();

    TensorType type();

    Shape shape();

    /**
     * Refuses to take values from a source that is of another type or shape, but for having fewer planes.
     *
     * @throws DeviceException if it is, or this is no weight
     */
    default void requireFit(TensorSource source) {
        Shape from = source.shape();
        boolean fits = kind() == Kind.WEIGHT
                && source.type() == type()
                && from.columns() == shape().columns()
                && from.rows() == shape().rows()
                && from.outer() == shape().outer()
                && (from.planes() == shape().planes() || from.outer() == 1 && from.planes() < shape().planes());
        if (!fits) {
            throw DeviceException.invalid("tensor " + source.name() + ", " + source.type() + " of shape " + from
                    + ", does not fit into " + label() + ", " + type() + " of shape " + shape());
        }
    }

    /** The bytes that the values take in their type. */
    default long bytes() {
        return type().bytes(shape().elements());
    }
}
