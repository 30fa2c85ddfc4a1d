package io.talaria.gguf;

import java.io.IOException;

/** Reads the values behind the keys of a GGUF header. */
final class GgufValueReader {
    private final GgufInput in;

    GgufValueReader(GgufInput in) {
        this.in = in;
    }

    /** Reads a value's type and the value. */
    GgufValue read() throws IOException {
        GgufValueType type = readType("the value");
        return switch (type) {
            case STRING -> GgufValue.scalar(type, readString());
            case ARRAY -> readArray();
            default -> GgufValue.scalar(type, readNumbers(type, 1));
        };
    }

    private GgufValueType readType(String what) throws IOException {
        int id = in.readInt("the type");
        GgufValueType type = GgufValueType.byId(id);
        if (type == null) {
            throw in.fault(
                    GgufFault.VALUE_TYPE_UNKNOWN,
                    what + " has the type " + Integer.toUnsignedString(id) + ", which GGUF does not define");
        }
        return type;
    }

    private byte[] readString() throws IOException {
        byte[] bytes = in.readBytes(readStringLength(), "the string");
        if (!Utf8.valid(bytes, 0, bytes.length)) {
            throw in.fault(GgufFault.TEXT_NOT_UTF8, "the string is not valid UTF-8");
        }
        return bytes;
    }

    private int readStringLength() throws IOException {
        long length = in.readLong("the length of a string");
        if (Long.compareUnsigned(length, GgufLimits.STRING_BYTES) > 0) {
            throw in.fault(
                    GgufFault.STRING_TOO_LONG,
                    "a string of " + Long.toUnsignedString(length) + " bytes exceeds the limit of "
                            + GgufLimits.STRING_BYTES);
        }
        return (int) length;
    }

    private GgufValue readArray() throws IOException {
        GgufValueType elementType = readType("the array's elements");
        if (elementType == GgufValueType.ARRAY) {
            throw in.fault(GgufFault.ARRAY_NESTED, "the array holds arrays, which no model needs");
        }
        long count = in.readLong("the array's length");
        if (Long.compareUnsigned(count, GgufLimits.ARRAY_ELEMENTS) > 0) {
            throw in.fault(
                    GgufFault.ARRAY_TOO_LONG,
                    "an array of " + Long.toUnsignedString(count) + " elements exceeds the limit of "
                            + GgufLimits.ARRAY_ELEMENTS);
        }
        return elementType == GgufValueType.STRING
                ? readStrings((int) count)
                : GgufValue.array(elementType, (int) count, readNumbers(elementType, (int) count));
    }

    // Products of an int count and at most 8 bytes fit an int, because the count was checked against its limit.
    private byte[] readNumbers(GgufValueType type, int count) throws IOException {
        byte[] bytes = in.readBytes(count * type.bytes(), type == GgufValueType.BOOL ? "the bool" : "the number");
        if (type == GgufValueType.BOOL) {
            for (byte value : bytes) {
                if (value != 0 && value != 1) {
                    throw in.fault(GgufFault.BOOL_INVALID, "a bool has the value " + (value & 0xFF));
                }
            }
        }
        return bytes;
    }

    /**
     * Reads an array of strings in two passes: the first only takes the lengths, so that the second can read all bytes
     * at once into an array of the right size. If the file changes in between, the texts change and the bounds do not.
     */
    private GgufValue readStrings(int count) throws IOException {
        in.require((long) count * Long.BYTES, "an array of " + count + " strings");
        int[] ends = new int[count];
        long start = in.position();
        for (int i = 0; i < count; i++) {
            in.skip(readStringLength(), "a string");
            ends[i] = (int) (in.position() - start);
        }
        in.rewind(start);
        byte[] bytes = in.readBytes(count == 0 ? 0 : ends[count - 1], "the strings");
        for (int i = 0; i < count; i++) {
            int from = (i == 0 ? 0 : ends[i - 1]) + Long.BYTES;
            if (!Utf8.valid(bytes, from, ends[i])) {
                throw in.faultAt(GgufFault.TEXT_NOT_UTF8, start + from, "string " + i + " is not valid UTF-8");
            }
        }
        return GgufValue.strings(bytes, ends);
    }
}
