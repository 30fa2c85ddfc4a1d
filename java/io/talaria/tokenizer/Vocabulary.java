package io.talaria.tokenizer;

import java.util.Arrays;

/**
 * The tokens of a SentencePiece-BPE model and how its text is framed. Immutable; the constructor checks everything.
 *
 * <p>Messages of the exceptions are half sentences without a full stop that begin in lower case, so that a caller can
 * put the file's name before them.
 */
public final class Vocabulary {
    /** In place of a token id: the vocabulary has no such token. */
    public static final int NONE = -1;

    private final String[] pieces;
    private final float[] scores;
    private final TokenType[] types;
    private final int[] byteTokens = new int[256];
    private final int bos;
    private final int eos;
    private final int unknown;
    private final boolean addBos;
    private final boolean addEos;
    private final boolean addSpacePrefix;

    /**
     * @param pieces each token's text; in normal and unused ones U+2581 stands for a space
     * @param scores each token's priority in merging; higher is earlier
     * @param types each token's type by its number in GGUF: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused,
     *     6 byte
     * @param bos the token that begins a sequence, or {@link #NONE}
     * @param eos the token that ends a sequence, or {@link #NONE}
     * @param unknown the token for what cannot be encoded, or {@link #NONE} if there is a token for each byte
     * @param addBos whether encoded text begins with {@code bos}
     * @param addEos whether encoded text ends with {@code eos}
     * @param addSpacePrefix whether a space is put before text, so that a word has one token at the start of a text and
     *     inside it
     * @throws IllegalArgumentException if the arrays differ in length, a score is NaN, a type or an id is out of range,
     *     a byte token is not written {@code <0xHH>}, or a byte has no token and there is no unknown token either
     */
    public Vocabulary(
            String[] pieces,
            float[] scores,
            int[] types,
            int bos,
            int eos,
            int unknown,
            boolean addBos,
            boolean addEos,
            boolean addSpacePrefix) {
        if (pieces.length == 0) {
            throw new IllegalArgumentException("the vocabulary has no tokens");
        }
        if (scores.length != pieces.length || types.length != pieces.length) {
            throw new IllegalArgumentException("the vocabulary has " + pieces.length + " tokens, but " + scores.length
                    + " scores and " + types.length + " types");
        }
        this.pieces = pieces.clone();
        this.scores = scores.clone();
        this.types = new TokenType[types.length];
        this.bos = checkId("bos", bos, addBos);
        this.eos = checkId("eos", eos, addEos);
        this.unknown = checkId("unknown", unknown, false);
        this.addBos = addBos;
        this.addEos = addEos;
        this.addSpacePrefix = addSpacePrefix;
        Arrays.fill(byteTokens, NONE);
        for (int token = 0; token < types.length; token++) {
            addToken(token, types[token]);
        }
        for (int value = 0; value < 256 && unknown == NONE; value++) {
            if (byteTokens[value] == NONE) {
                throw new IllegalArgumentException(
                        String.format("the byte 0x%02X has no token, and there is no unknown token", value));
            }
        }
    }

    private int checkId(String name, int id, boolean needed) {
        if (id < NONE || id >= pieces.length) {
            throw new IllegalArgumentException(
                    "the " + name + " token " + id + " is outside the vocabulary of " + pieces.length + " tokens");
        }
        if (id == NONE && needed) {
            throw new IllegalArgumentException(
                    "the " + name + " token is to be added to every text, but the vocabulary has none");
        }
        return id;
    }

    private void addToken(int token, int type) {
        if (pieces[token] == null || Float.isNaN(scores[token])) {
            throw new IllegalArgumentException(
                    "the token " + token + " has no " + (pieces[token] == null ? "text" : "score"));
        }
        try {
            types[token] = TokenType.of(type);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("the token " + token + ": " + e.getMessage(), e);
        }
        if (types[token] == TokenType.BYTE) {
            byteTokens[byteValue(token)] = token;
        }
    }

    private int byteValue(int token) {
        String piece = pieces[token];
        if (piece.length() == 6 && piece.startsWith("<0x") && piece.endsWith(">")) {
            int high = hexDigit(piece.charAt(3));
            int low = hexDigit(piece.charAt(4));
            if (high >= 0 && low >= 0) {
                return high << 4 | low;
            }
        }
        throw new IllegalArgumentException("the token " + token + " is a byte, but its text is not of the form <0xHH>");
    }

    // Character.digit would take the digits of every script.
    private static int hexDigit(char c) {
        return c < 128 ? Character.digit(c, 16) : -1;
    }

    /** How many tokens there are; ids are 0 to size - 1. */
    public int size() {
        return pieces.length;
    }

    /** The token's text as the model file has it. */
    public String piece(int token) {
        return pieces[token];
    }

    /** The token's priority in merging; higher is earlier. */
    public float score(int token) {
        return scores[token];
    }

    /** The token's type. */
    public TokenType type(int token) {
        return types[token];
    }

    /** The token for a byte, 0 to 255, or {@link #NONE}. */
    public int byteToken(int value) {
        return byteTokens[value];
    }

    /** Whether every byte has a token, so that any text can be encoded. */
    public boolean coversBytes() {
        return Arrays.stream(byteTokens).noneMatch(token -> token == NONE);
    }

    /** The byte of a token of type {@link TokenType#BYTE}. */
    byte byteOf(int token) {
        return (byte) byteValue(token);
    }

    /** The token that begins a sequence, or {@link #NONE}. */
    public int bos() {
        return bos;
    }

    /** The token that ends a sequence, or {@link #NONE}. */
    public int eos() {
        return eos;
    }

    /** The token for what cannot be encoded, or {@link #NONE}. */
    public int unknown() {
        return unknown;
    }

    /** Whether encoded text begins with {@link #bos()}. */
    public boolean addBos() {
        return addBos;
    }

    /** Whether encoded text ends with {@link #eos()}. */
    public boolean addEos() {
        return addEos;
    }

    /** Whether a space is put before text. */
    public boolean addSpacePrefix() {
        return addSpacePrefix;
    }
}
