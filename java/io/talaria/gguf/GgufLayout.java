package io.talaria.gguf;

import io.talaria.quant.TensorType;
import java.util.List;

/** The arithmetic of tensor shapes and places, overflow-checked, shared by reader and writer. */
final class GgufLayout {
    private GgufLayout() {}

    /**
     * The bytes of a tensor of this type and shape.
     *
     * @param file the file's printable name, for messages
     * @param name the tensor's name, for messages
     * @param shape the dimensions in GGUF order, each read as an unsigned number
     */
    static long bytes(String file, String name, TensorType type, List<Long> shape) throws GgufException {
        if (shape.isEmpty() || shape.size() > GgufLimits.DIMENSIONS) {
            throw GgufException.of(
                    GgufFault.TENSOR_DIMENSIONS,
                    file,
                    subject(name) + " has " + shape.size() + " dimensions and not 1 to " + GgufLimits.DIMENSIONS);
        }
        long elements = 1;
        try {
            for (int i = 0; i < shape.size(); i++) {
                long dimension = shape.get(i);
                if (dimension == 0) {
                    throw GgufException.of(
                            GgufFault.TENSOR_DIMENSION_ZERO,
                            file,
                            subject(name) + " has a dimension " + (i + 1) + " of zero");
                }
                elements = Math.multiplyExact(elements, asPositive(dimension));
            }
            if (shape.get(0) % type.blockElements() != 0) {
                throw GgufException.of(
                        GgufFault.TENSOR_ROW_NOT_BLOCKS,
                        file,
                        subject(name) + " has rows of " + shape.get(0) + " elements, which do not fill whole " + type
                                + " blocks of " + type.blockElements());
            }
            return type.bytes(elements);
        } catch (ArithmeticException e) {
            throw GgufException.of(
                    GgufFault.TENSOR_TOO_LARGE,
                    file,
                    subject(name) + " of shape " + unsigned(shape) + " has more bytes than a file can have");
        }
    }

    /**
     * The first multiple of {@code alignment} that is not below {@code position}.
     *
     * @throws ArithmeticException if it exceeds a long
     */
    static long align(long position, long alignment) {
        return Math.addExact(position, alignment - 1) & -alignment;
    }

    private static String subject(String name) {
        return "tensor " + Printable.name(name);
    }

    private static long asPositive(long unsigned) {
        if (unsigned < 0) {
            throw new ArithmeticException("exceeds a long");
        }
        return unsigned;
    }

    private static List<String> unsigned(List<Long> shape) {
        return shape.stream().map(Long::toUnsignedString).toList();
    }
}
