package io.talaria.tokenizer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/**
 * Goes through the fields of a protocol buffers message. Nothing is allocated but the texts that are asked for, each no
 * longer than the message.
 */
final class ProtoReader {
    private static final int VARINT = 0;
    private static final int FIXED64 = 1;
    private static final int DELIMITED = 2;
    private static final int FIXED32 = 5;

    private final ByteBuffer bytes;
    private int field;
    private int wire;

    /** Reads the bytes that the buffer has left. */
    ProtoReader(ByteBuffer message) {
        bytes = message.slice().order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * Goes to the next field; false at the message's end. Each field's value has to be read or skipped.
     *
     * @throws IllegalArgumentException if the message is damaged
     */
    boolean next() {
        if (!bytes.hasRemaining()) {
            return false;
        }
        long tag = varint();
        field = (int) (tag >>> 3);
        wire = (int) tag & 7;
        if (field == 0 || tag >>> 3 != field) {
            throw new IllegalArgumentException("a field has the number " + (tag >>> 3));
        }
        return true;
    }

    /** The number of the field. */
    int field() {
        return field;
    }

    /** The field's value, an int32 or an enum. */
    int number() {
        require(VARINT);
        return (int) varint();
    }

    /** The field's value, a bool. */
    boolean flag() {
        require(VARINT);
        return varint() != 0;
    }

    /** The field's value, a float. */
    float decimal() {
        require(FIXED32);
        requireBytes(Float.BYTES);
        return bytes.getFloat();
    }

    /** The field's value, a text. */
    String text() {
        ByteBuffer value = delimited();
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(value).toString();
        } catch (CharacterCodingException e) {
            throw new IllegalArgumentException("a text is not UTF-8", e);
        }
    }

    /** The field's value, a message or bytes. */
    ByteBuffer delimited() {
        require(DELIMITED);
        long length = varint();
        requireBytes(length);
        ByteBuffer value = bytes.slice(bytes.position(), (int) length);
        bytes.position(bytes.position() + (int) length);
        return value;
    }

    /** Passes over the field's value. */
    void skip() {
        switch (wire) {
            case VARINT -> varint();
            case FIXED64 -> skip(Long.BYTES);
            case DELIMITED -> delimited();
            case FIXED32 -> skip(Integer.BYTES);
            default -> throw new IllegalArgumentException("field " + field + " has the unknown form " + wire);
        }
    }

    private void skip(int count) {
        requireBytes(count);
        bytes.position(bytes.position() + count);
    }

    private long varint() {
        long value = 0;
        for (int shift = 0; shift < Long.SIZE; shift += 7) {
            requireBytes(1);
            byte next = bytes.get();
            value |= (next & 0x7FL) << shift;
            if (next >= 0) {
                return value;
            }
        }
        throw new IllegalArgumentException("a number has more than 64 bits");
    }

    private void require(int wanted) {
        if (wire != wanted) {
            throw new IllegalArgumentException("field " + field + " has the form " + wire + " and not " + wanted);
        }
    }

    private void requireBytes(long count) {
        if (count < 0 || count > bytes.remaining()) {
            throw new IllegalArgumentException("the message ends within field " + field);
        }
    }
}
