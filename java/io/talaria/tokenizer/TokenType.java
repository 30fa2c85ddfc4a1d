package io.talaria.tokenizer;

/** What a token is, in the order of the numbers 1 to 6 of {@code tokenizer.ggml.token_type}. */
public enum TokenType {
    /** A piece of ordinary text; U+2581 stands for a space. */
    NORMAL,
    /** Stands for what cannot be encoded. */
    UNKNOWN,
    /** Structures a prompt, such as the beginning of a sequence; no text encodes to it unless asked for. */
    CONTROL,
    /** A fixed string that is always one token. */
    USER_DEFINED,
    /** A piece that training left unused; treated like a normal one. */
    UNUSED,
    /** One byte, written {@code <0xHH>}. */
    BYTE;

    private static final TokenType[] BY_NUMBER = values();

    /** The type's number in GGUF. */
    public int number() {
        return ordinal() + 1;
    }

    /**
     * The type with this number in GGUF.
     *
     * @throws IllegalArgumentException if it is not from 1 to 6
     */
    static TokenType of(int number) {
        if (number < 1 || number > BY_NUMBER.length) {
            throw new IllegalArgumentException("the token type " + number + " is not one of 1 to 6");
        }
        return BY_NUMBER[number - 1];
    }
}
