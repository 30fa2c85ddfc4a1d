package io.talaria.backend.opencl;

import io.talaria.quant.TensorType;
import java.util.Locale;

/** A program: one of the files of {@code kernels/opencl}, and what is defined for it. */
record Unit(String file, String defines) {
    static Unit of(String file) {
        return new Unit(file, "");
    }

    /**
     * Of {@code product.cl} or {@code gate_up.cl}: a format of weights, a mode of activations, and so many rows at once.
     *
     * @param codes whether the activations are int8 codes
     */
    static Unit of(String file, TensorType type, boolean codes, int rows) {
        String mode = codes ? "INT8" : "HALF";
        return new Unit(
                file,
                "-DFORMAT_" + type + " -DFORMAT=" + type.name().toLowerCase(Locale.ROOT) + " -DMODE_" + mode
                        + " -DMODE=" + mode.toLowerCase(Locale.ROOT) + " -DROWS=" + rows);
    }

    /** The name of a kernel of such a program: op_format_variant. */
    static String kernel(String op, TensorType type, boolean codes, int rows) {
        return op + "_" + type.name().toLowerCase(Locale.ROOT) + (codes ? "_int8_m" : "_half_m") + rows;
    }

    String path() {
        return "opencl/" + file + ".cl";
    }
}
