package io.talaria.validate;

import io.talaria.quant.TensorType;
import java.util.List;

/** The weight formats that every device computes, and row lengths that suit them. */
final class Formats {
    static final List<TensorType> ALL = List.of(
            TensorType.F32,
            TensorType.F16,
            TensorType.BF16,
            TensorType.Q4_0,
            TensorType.Q8_0,
            TensorType.Q4_K,
            TensorType.Q5_K,
            TensorType.Q6_K);

    private Formats() {}

    /** About so many columns: whole blocks, and else an odd number of those or an even but awkward one of values. */
    static int columns(TensorType type, int about) {
        int blocks = Math.max(1, Math.ceilDiv(about, type.blockElements()));
        return type.quantised() ? blocks * type.blockElements() : blocks + 2;
    }
}
