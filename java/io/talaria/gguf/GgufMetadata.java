package io.talaria.gguf;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;

/**
 * The key-value pairs of a GGUF file, in the order of the file.
 *
 * <p>The typed accessors answer with nothing where the key is absent, and with a {@link GgufException} where it has
 * another type than the asked one: a value is never converted, because a file whose types are wrong was made by
 * something that cannot be trusted with the values either. Immutable.
 */
public final class GgufMetadata {
    private final String file;
    private final Map<String, GgufValue> values;

    GgufMetadata(String file, Map<String, GgufValue> values) {
        this.file = file;
        this.values = Collections.unmodifiableMap(new LinkedHashMap<>(values));
    }

    /** True if the file has this key. */
    public boolean has(String key) {
        return values.containsKey(key);
    }

    /** All keys, in the order of the file. */
    public Set<String> keys() {
        return values.keySet();
    }

    /** The text of a string key. */
    public Optional<String> string(String key) throws GgufException {
        return Optional.ofNullable(scalar(key, GgufValueType.STRING)).map(value -> (String) value.decode());
    }

    /** The value of a uint32 key, 0 to 2^32 - 1. */
    public OptionalLong uint32(String key) throws GgufException {
        GgufValue value = scalar(key, GgufValueType.UINT32);
        return value == null ? OptionalLong.empty() : OptionalLong.of(value.integer());
    }

    /** The value of an int32 key. */
    public OptionalLong int32(String key) throws GgufException {
        GgufValue value = scalar(key, GgufValueType.INT32);
        return value == null ? OptionalLong.empty() : OptionalLong.of(value.integer());
    }

    /** The value of a uint64 key; a value above 2^63 - 1 is refused. */
    public OptionalLong uint64(String key) throws GgufException {
        GgufValue value = scalar(key, GgufValueType.UINT64);
        if (value == null) {
            return OptionalLong.empty();
        }
        if (value.integer() < 0) {
            throw invalid(key, "its value " + Long.toUnsignedString(value.integer()) + " exceeds 2^63 - 1");
        }
        return OptionalLong.of(value.integer());
    }

    /** The value of a float32 key; it may be infinite or not a number. */
    public Optional<Float> float32(String key) throws GgufException {
        return Optional.ofNullable(scalar(key, GgufValueType.FLOAT32)).map(value -> (Float) value.decode());
    }

    /** The value of a bool key. */
    public Optional<Boolean> bool(String key) throws GgufException {
        return Optional.ofNullable(scalar(key, GgufValueType.BOOL)).map(value -> (Boolean) value.decode());
    }

    /** The strings of an array; an unmodifiable list that decodes a string at each access. */
    public Optional<List<String>> stringArray(String key) throws GgufException {
        return Optional.ofNullable(array(key, GgufValueType.STRING)).map(GgufValue::strings);
    }

    /** A copy of the numbers of a float32 array. */
    public Optional<float[]> float32Array(String key) throws GgufException {
        return Optional.ofNullable(array(key, GgufValueType.FLOAT32)).map(GgufValue::floats);
    }

    /** A copy of the numbers of an int32 or uint32 array; a number above 2^31 - 1 is refused. */
    public Optional<int[]> int32Array(String key) throws GgufException {
        GgufValue value = values.get(key);
        if (value == null || value.elementType() != GgufValueType.UINT32) {
            return Optional.ofNullable(array(key, GgufValueType.INT32)).map(GgufValue::ints);
        }
        int[] numbers = value.ints();
        for (int i = 0; i < numbers.length; i++) {
            if (numbers[i] < 0) {
                throw invalid(
                        key, "its element " + i + ", " + Integer.toUnsignedString(numbers[i]) + ", exceeds 2^31 - 1");
            }
        }
        return Optional.of(numbers);
    }

    /**
     * The value of a key that the file has, to print it: a {@link Long}, a {@link java.math.BigInteger} for a uint64
     * above the largest long, a {@link Float}, a {@link Double}, a {@link Boolean}, a {@link String}, or an
     * unmodifiable {@link List} of one of these.
     */
    public Object value(String key) {
        return present(key).decode();
    }

    /** The type of a key that the file has. */
    public GgufValueType type(String key) {
        return present(key).type();
    }

    /** The type of the elements, if the value of this key, which the file has, is an array. */
    public Optional<GgufValueType> elementType(String key) {
        return Optional.ofNullable(present(key).elementType());
    }

    /** The exception for a key that is needed and absent, to be thrown by whoever needs it. */
    public GgufException missing(String key) {
        return GgufException.of(GgufFault.KEY_MISSING, file, "key " + Printable.name(key) + " is missing");
    }

    /**
     * The exception for a key whose value asks for something that Talaria does not do.
     *
     * @param problem what it asks for and what there is, as half a sentence without a full stop
     */
    public GgufException unsupported(String key, String problem) {
        return GgufException.of(GgufFault.KEY_UNSUPPORTED, file, "key " + Printable.name(key) + ": " + problem);
    }

    /**
     * The exception for a key whose value is impossible, to be thrown by whoever knows.
     *
     * @param problem what is wrong with the value, as half a sentence without a full stop
     */
    public GgufException invalid(String key, String problem) {
        return GgufException.of(GgufFault.KEY_VALUE, file, "key " + Printable.name(key) + ": " + problem);
    }

    /** The alignment of tensor data in bytes: the key general.alignment, or 32. */
    long alignment() throws GgufException {
        String key = "general.alignment";
        long alignment = uint32(key).orElse(GgufLimits.DEFAULT_ALIGNMENT);
        if (Long.bitCount(alignment) != 1
                || alignment < GgufLimits.MINIMUM_ALIGNMENT
                || alignment > GgufLimits.MAXIMUM_ALIGNMENT) {
            throw GgufException.of(
                    GgufFault.ALIGNMENT_INVALID,
                    file,
                    "key '" + key + "': " + alignment + " is not a power of two from " + GgufLimits.MINIMUM_ALIGNMENT
                            + " to " + GgufLimits.MAXIMUM_ALIGNMENT);
        }
        return alignment;
    }

    /** The value of an integer key of any integer type; one that is negative or above 2^63 - 1 is refused. */
    OptionalLong count(String key) throws GgufException {
        GgufValue value = values.get(key);
        if (value == null) {
            return OptionalLong.empty();
        }
        if (!value.type().integer()) {
            throw wrongType(key, value, "an integer");
        }
        if (value.integer() < 0) {
            throw invalid(key, "its value " + value.decode() + " is not a count");
        }
        return OptionalLong.of(value.integer());
    }

    Map<String, GgufValue> values() {
        return values;
    }

    private GgufValue scalar(String key, GgufValueType type) throws GgufException {
        GgufValue value = values.get(key);
        if (value != null && value.type() != type) {
            throw wrongType(key, value, type.toString());
        }
        return value;
    }

    private GgufValue array(String key, GgufValueType elementType) throws GgufException {
        GgufValue value = values.get(key);
        if (value != null && value.elementType() != elementType) {
            throw wrongType(key, value, "array of " + elementType);
        }
        return value;
    }

    private GgufException wrongType(String key, GgufValue value, String wanted) {
        return GgufException.of(
                GgufFault.KEY_TYPE,
                file,
                "key " + Printable.name(key) + " has the type " + value.describe() + " and not " + wanted);
    }

    private GgufValue present(String key) {
        GgufValue value = values.get(key);
        if (value == null) {
            throw new NoSuchElementException("there is no key " + Printable.name(key));
        }
        return value;
    }
}
