package io.talaria.gguf;

import io.talaria.quant.TensorType;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** Malformed tensor descriptions and places, among them the shapes of published faults of other readers. */
final class TensorFaults {
    private static final int F32 = TensorType.F32.id();
    private static final int F16 = TensorType.F16.id();
    private static final int Q4_0 = TensorType.Q4_0.id();
    private static final int Q4_K = TensorType.Q4_K.id();
    private static final int Q6_K = TensorType.Q6_K.id();
    private static final int I8 = TensorType.I8.id();
    private static final int I64 = TensorType.I64.id();

    private TensorFaults() {}

    static List<Malformed> all() {
        List<Malformed> all = new ArrayList<>();
        addNames(all);
        addShapes(all);
        addSizes(all);
        addTypes(all);
        addPlaces(all);
        addCuts(all);
        return all;
    }

    private static void addNames(List<Malformed> all) {
        for (long length : new long[] {0, 64, 1 << 30, Long.MAX_VALUE, Long.MIN_VALUE, -1}) {
            String bytes = Long.toUnsignedString(length);
            all.add(second(
                    "name-length-" + bytes,
                    GgufFault.TENSOR_NAME_LENGTH,
                    bytes + " bytes",
                    t -> t.nameLength = length));
        }
        all.add(new Malformed(
                "name-64-bytes",
                GgufFault.TENSOR_NAME_LENGTH,
                "not 1 to 63",
                b -> b.tensor("n".repeat(64), TensorType.F32, 8),
                b -> b.tensor("n".repeat(63), TensorType.F32, 8)));
        all.add(second(
                "name-not-utf8", GgufFault.TEXT_NOT_UTF8, "tensor 2 of 3", t -> t.name = new byte[] {(byte) 0xFF}));
        all.add(second("name-utf8-cut", GgufFault.TEXT_NOT_UTF8, "UTF-8", t -> t.name = new byte[] {'b', (byte) 0xC3}));
        all.add(second("name-twice", GgufFault.TENSOR_DUPLICATE, "'a'", t -> t.name = new byte[] {'a'}));
        byte[] control = "\n\u0007".getBytes(StandardCharsets.UTF_8);
        all.add(new Malformed(
                "name-with-control-characters-and-type-99",
                GgufFault.TENSOR_TYPE_UNKNOWN,
                "'\\u{a}\\u{7}'",
                b -> name(b, control).type(99),
                b -> name(b, control)));
    }

    private static void addShapes(List<Malformed> all) {
        for (long count : new long[] {0, 5, 1L << 31, (1L << 32) - 1}) {
            all.add(second(
                    "dimensions-" + count,
                    GgufFault.TENSOR_DIMENSIONS,
                    "has " + count + " dimensions",
                    t -> t.dimensions = (int) count));
        }
        all.add(new Malformed(
                "dimensions-5-of-one",
                GgufFault.TENSOR_DIMENSIONS,
                "has 5 dimensions",
                b -> b.tensors.get(1).shape(64, 2, 1, 1, 1),
                b -> b.tensors.get(1).shape(64, 2, 1, 1)));
        for (int zero = 0; zero < 4; zero++) {
            long[] shape = {64, 2, 1, 1};
            shape[zero] = 0;
            all.add(new Malformed(
                    "dimension-" + (zero + 1) + "-zero",
                    GgufFault.TENSOR_DIMENSION_ZERO,
                    "dimension " + (zero + 1) + " of zero",
                    b -> b.tensors.get(1).shape(shape),
                    b -> b.tensors.get(1).shape(64, 2, 1, 1)));
        }
        all.add(row("row-31-of-32", Q4_0, 31, 2));
        all.add(row("row-16-in-two-rows", Q4_0, 16, 8));
        all.add(row("row-128-of-256", Q4_K, 128));
        all.add(row("row-255-of-256", Q6_K, 255, 256));
        all.add(row("row-1-of-32", Q4_0, 1));
    }

    private static void addSizes(List<Malformed> all) {
        all.add(tooLarge("size-2^62-f32", F32, 1L << 62));
        all.add(tooLarge("size-2^63-3-f32", F32, (1L << 63) - 3));
        all.add(tooLarge("size-2^32-by-2^32", F32, 1L << 32, 1L << 32));
        all.add(tooLarge("size-2-by-2^63+500", F32, 2, (1L << 63) + 500));
        all.add(tooLarge("size-dimension-2^64-1", F32, -1));
        all.add(tooLarge("size-dimension-2^63-i8", I8, Long.MIN_VALUE));
        all.add(tooLarge("size-2^64-1-squared-wraps-to-one", I8, -1, -1));
        all.add(tooLarge("size-2^64-64-by-2^64-2", Q4_0, -64, -2));
        all.add(tooLarge("size-2^16-four-times", F16, 1 << 16, 1 << 16, 1 << 16, 1 << 16));
        all.add(tooLarge("size-2^63-elements", I8, 1L << 31, 1L << 31, 2));
        all.add(tooLarge("size-2^60-i64", I64, 1L << 60));
        all.add(tooLarge("size-wraps-to-one", I8, 3, 0xAAAA_AAAA_AAAA_AAABL));
        all.add(tooLarge("size-q4-0-blocks-wrap", TensorType.Q8_0.id(), 1L << 62, 2));
        all.add(outside("size-q4-0-576-PiB", Q4_0, 1L << 60));
        all.add(outside("size-2^63-1-i8-padding-wraps", I8, Long.MAX_VALUE));
        all.add(outside("size-2^63-32-i8", I8, Long.MAX_VALUE - 31));
        all.add(outside("size-4-GiB", F32, 1 << 30));
        all.add(outside("size-one-row-more", F32, 64, 3));
    }

    private static void addTypes(List<Malformed> all) {
        for (int type : new int[] {4, 5, 31, 32, 33, 36, 37, 38}) {
            all.add(type(type, GgufFault.TENSOR_TYPE_REMOVED, "removed"));
        }
        for (int type : new int[] {9, 15, 16, 39}) {
            all.add(type(type, GgufFault.TENSOR_TYPE_UNSUPPORTED, "does not read"));
        }
        for (int type : new int[] {255, -1, Integer.MIN_VALUE}) {
            all.add(type(type, GgufFault.TENSOR_TYPE_UNKNOWN, "does not know"));
        }
    }

    private static void addPlaces(List<Malformed> all) {
        for (long offset : new long[] {513, 527, 528, 543}) {
            all.add(second(
                    "offset-" + offset,
                    GgufFault.TENSOR_OFFSET_UNALIGNED,
                    offset + " is not a multiple of 32",
                    t -> t.offset = offset));
        }
        all.add(new Malformed(
                "offset-for-another-alignment",
                GgufFault.TENSOR_OFFSET_UNALIGNED,
                "608 is not a multiple of 64",
                b -> b.key("general.alignment", GgufBuilder.U32, GgufBuilder.u32(64)),
                b -> b.key("general.alignment", GgufBuilder.U32, GgufBuilder.u32(32))));
        all.add(second("offset-shared", GgufFault.TENSOR_OVERLAP, "inside the tensor", t -> t.offset = 0L));
        all.add(second("offset-overlap", GgufFault.TENSOR_OVERLAP, "inside the tensor", t -> t.offset = 480L));
        all.add(third("offset-overlap-by-a-block", GgufFault.TENSOR_OVERLAP, "'c'", t -> t.offset = 576L));
        all.add(third("offset-descending", GgufFault.TENSOR_OFFSET_ORDER, "lies before", t -> t.offset = 480L));
        all.add(third("offset-zero-again", GgufFault.TENSOR_OFFSET_ORDER, "lies before", t -> t.offset = 0L));
        for (long offset : new long[] {640, 1 << 20, 1L << 40, Long.MAX_VALUE - 31, Long.MIN_VALUE, -32}) {
            all.add(third(
                    "offset-outside-" + Long.toUnsignedString(offset),
                    GgufFault.TENSOR_OUTSIDE_FILE,
                    Long.toUnsignedString(offset),
                    t -> t.offset = offset));
        }
        all.add(new Malformed(
                "offset-of-first-near-2^64",
                GgufFault.TENSOR_OUTSIDE_FILE,
                "18446744073709551584",
                b -> b.tensors.get(0).offset = -32L));
        all.add(new Malformed("data-last-byte-cut", GgufFault.TENSOR_OUTSIDE_FILE, "'c'", b -> b.cut(1)));
        all.add(new Malformed("data-last-tensor-cut", GgufFault.TENSOR_OUTSIDE_FILE, "'c'", b -> b.cut(32)));
        all.add(new Malformed(
                "data-absent", GgufFault.TENSOR_OUTSIDE_FILE, "section of 0 bytes", b -> b.keep(b.header().length)));
    }

    private static void addCuts(List<Malformed> all) {
        all.add(cutInfos("cut-in-offset", "the offset needs", 3));
        all.add(cutInfos("cut-in-type", "the type needs", 8 + 2));
        all.add(cutInfos("cut-in-dimension", "a dimension needs", 8 + 4 + 5));
        all.add(cutInfos("cut-in-dimension-count", "number of dimensions needs", 8 + 4 + 8 + 1));
        all.add(cutInfos("cut-in-name", "the name needs", 8 + 4 + 8 + 4 + 1));
    }

    private static Malformed second(String id, GgufFault fault, String fragment, Consumer<GgufBuilder.Tensor> broken) {
        return new Malformed(id, fault, fragment, b -> broken.accept(b.tensors.get(1)));
    }

    private static Malformed third(String id, GgufFault fault, String fragment, Consumer<GgufBuilder.Tensor> broken) {
        return new Malformed(id, fault, fragment, b -> broken.accept(b.tensors.get(2)));
    }

    private static Malformed row(String id, int type, long... shape) {
        return second(
                id,
                GgufFault.TENSOR_ROW_NOT_BLOCKS,
                "rows of " + shape[0],
                t -> t.type(type).shape(shape));
    }

    private static Malformed tooLarge(String id, int type, long... shape) {
        return second(
                id, GgufFault.TENSOR_TOO_LARGE, "more bytes", t -> t.type(type).shape(shape));
    }

    private static Malformed outside(String id, int type, long... shape) {
        return new Malformed(
                id,
                GgufFault.TENSOR_OUTSIDE_FILE,
                "'c'",
                b -> b.tensors.get(2).type(type).shape(shape));
    }

    private static Malformed type(int type, GgufFault fault, String fragment) {
        String number = Integer.toUnsignedString(type);
        return second("type-" + number, fault, "type " + number + ", which", t -> t.type(type));
    }

    private static GgufBuilder.Tensor name(GgufBuilder builder, byte[] name) {
        builder.tensors.get(1).name = name;
        return builder.tensors.get(1);
    }

    // The file ends so many bytes before the end of its last tensor's description.
    private static Malformed cutInfos(String id, String fragment, int bytes) {
        return new Malformed(id, GgufFault.HEADER_TRUNCATED, fragment, b -> {
            GgufBuilder unpadded = GgufBuilder.small();
            unpadded.alignment = 1;
            b.keep(unpadded.header().length - bytes);
        });
    }
}
