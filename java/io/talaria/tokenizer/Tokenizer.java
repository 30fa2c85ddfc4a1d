package io.talaria.tokenizer;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Text to tokens and back, as the {@code llama} tokenizer of GGUF does it; ids equal those of llama.cpp.
 *
 * <p>Encoding cuts special tokens out of the text, puts a space before each remaining stretch (if the vocabulary says
 * so), writes spaces as U+2581, and merges characters by score ({@link Merger}). So a stretch has a space before it
 * not only at the start but after each special token, and decoding takes it away again.
 *
 * <p>{@code decode(encode(text))} gives the text back, except that U+2581 comes back as a space and a surrogate without
 * its other half as U+FFFD. Immutable and safe for several threads.
 */
public final class Tokenizer {
    /** The longest text that is encoded in one call, in UTF-16 units: far beyond any context, and it bounds memory. */
    public static final int MAX_CHARACTERS = 1 << 24;

    private static final byte[] SPACE = "\u2581".getBytes(StandardCharsets.UTF_8);
    private static final byte[] REPLACEMENT = "\uFFFD".getBytes(StandardCharsets.UTF_8);

    private final Vocabulary vocabulary;
    private final PieceTable pieces;
    private final SpecialTokens allSpecials;
    private final SpecialTokens userDefined;
    private final SpecialTokens noSpecials;
    private final Map<String, Integer> specialIds = new HashMap<>();
    private final byte[][] bytes;
    private final boolean unknownSeparates;

    /** A tokenizer for this vocabulary. */
    public Tokenizer(Vocabulary vocabulary) {
        this.vocabulary = vocabulary;
        pieces = new PieceTable(vocabulary);
        allSpecials =
                new SpecialTokens(vocabulary, EnumSet.of(TokenType.CONTROL, TokenType.UNKNOWN, TokenType.USER_DEFINED));
        userDefined = new SpecialTokens(vocabulary, EnumSet.of(TokenType.USER_DEFINED));
        noSpecials = new SpecialTokens(vocabulary, Set.of());
        // Where a byte can lack a token, the unknown token stands inside a stretch and not between two.
        unknownSeparates = vocabulary.coversBytes();
        bytes = new byte[vocabulary.size()][];
        for (int token = 0; token < bytes.length; token++) {
            bytes[token] = textOf(token);
            TokenType type = vocabulary.type(token);
            if (type == TokenType.CONTROL || type == TokenType.USER_DEFINED) {
                specialIds.putIfAbsent(vocabulary.piece(token), token);
            }
        }
    }

    private byte[] textOf(int token) {
        String piece = vocabulary.piece(token);
        return switch (vocabulary.type(token)) {
            case NORMAL, UNUSED -> utf8(piece.replace('\u2581', ' '));
            case BYTE -> new byte[] {vocabulary.byteOf(token)};
            case USER_DEFINED, CONTROL, UNKNOWN -> utf8(piece);
        };
    }

    /**
     * The tokens of a text.
     *
     * <p>User-defined tokens are found in the text in either case; that is what the type means, and some model files
     * give it to the tokens that structure a prompt. For text that must not contain any, see {@link #encodeLiteral}.
     *
     * @param text any text of at most {@link #MAX_CHARACTERS} UTF-16 units
     * @param addBos whether to put the tokens before and after the text that the vocabulary wants there
     * @param parseSpecial whether the texts of control tokens and of the unknown token, such as {@code <s>}, become
     *     these tokens; otherwise they are text like any other
     * @throws IllegalArgumentException if the text is too long
     */
    public int[] encode(String text, boolean addBos, boolean parseSpecial) {
        IntList out = new IntList();
        if (addBos && vocabulary.addBos()) {
            out.add(vocabulary.bos());
        }
        append(text, parseSpecial ? allSpecials : userDefined, out);
        if (addBos && vocabulary.addEos()) {
            out.add(vocabulary.eos());
        }
        return out.toArray();
    }

    /**
     * The tokens of a text from somebody who is not trusted with the structure of a prompt: whatever it says, only
     * normal, unused and byte tokens come out, and the unknown token where a byte has none.
     *
     * @throws IllegalArgumentException if the text is longer than {@link #MAX_CHARACTERS}
     */
    public int[] encodeLiteral(String text) {
        IntList out = new IntList();
        append(text, noSpecials, out);
        return out.toArray();
    }

    private void append(String text, SpecialTokens specials, IntList out) {
        if (text.length() > MAX_CHARACTERS) {
            throw new IllegalArgumentException("The text has " + text.length() + " characters, more than the "
                    + MAX_CHARACTERS + " that are encoded at once; split it.");
        }
        byte[] encoded = utf8(text);
        int from = 0;
        for (SpecialTokens.Match match : specials.find(encoded)) {
            appendStretch(encoded, from, match.from(), out);
            out.add(match.token());
            from = match.to();
        }
        appendStretch(encoded, from, encoded.length, out);
    }

    private void appendStretch(byte[] text, int from, int to, IntList out) {
        if (from == to) {
            return;
        }
        int spaces = vocabulary.addSpacePrefix() ? 1 : 0;
        for (int i = from; i < to; i++) {
            spaces += text[i] == ' ' ? 1 : 0;
        }
        ByteBuffer escaped = ByteBuffer.allocate(to - from + spaces * SPACE.length);
        if (vocabulary.addSpacePrefix()) {
            escaped.put(SPACE);
        }
        for (int i = from; i < to; i++) {
            if (text[i] == ' ') {
                escaped.put(SPACE);
            } else {
                escaped.put(text[i]);
            }
        }
        byte[] stretch = Arrays.copyOf(escaped.array(), escaped.position());
        Merger.encode(vocabulary, pieces, stretch, out);
    }

    /** The text of these tokens; control tokens and the unknown token are left out. */
    public String decode(int[] tokens) {
        return decode(tokens, false);
    }

    /**
     * The text of these tokens. Bytes that are not UTF-8 become U+FFFD.
     *
     * @param renderSpecial whether control tokens and the unknown token appear as text, such as {@code <s>}, or not at
     *     all
     * @throws IllegalArgumentException if a token is outside the vocabulary
     */
    public String decode(int[] tokens, boolean renderSpecial) {
        StreamingDecoder decoder = new StreamingDecoder(this, renderSpecial, true);
        StringBuilder text = new StringBuilder();
        for (int token : tokens) {
            text.append(decoder.accept(token));
        }
        return text.append(decoder.finish()).toString();
    }

    /** A decoder for a text that is generated token by token, which leaves out control tokens. */
    public StreamingDecoder newDecoder() {
        return new StreamingDecoder(this, false, true);
    }

    /**
     * A decoder for a text that is generated token by token.
     *
     * @param renderSpecial whether control tokens and the unknown token appear as text or not at all
     * @param start whether the text begins with the first token, so that the space that the vocabulary puts before it
     *     is to be taken away; false for one that goes on where another has ended
     */
    public StreamingDecoder newDecoder(boolean renderSpecial, boolean start) {
        return new StreamingDecoder(this, renderSpecial, start);
    }

    /**
     * The bytes that a token stands for in a text, which need not be whole characters; for a control token and the
     * unknown token, the bytes of its name.
     *
     * @throws IllegalArgumentException if the token is outside the vocabulary
     */
    public byte[] bytes(int token) {
        return sharedBytes(token).clone();
    }

    /** The same without a copy; not to be changed. */
    byte[] sharedBytes(int token) {
        if (token < 0 || token >= bytes.length) {
            throw new IllegalArgumentException(
                    "The token " + token + " is outside the vocabulary of " + bytes.length + " tokens.");
        }
        return bytes[token];
    }

    /** True if a text that follows this token is a new stretch, with a space before it. */
    boolean separates(int token) {
        return switch (vocabulary.type(token)) {
            case CONTROL, USER_DEFINED -> true;
            case UNKNOWN -> unknownSeparates;
            case NORMAL, UNUSED, BYTE -> false;
        };
    }

    /** The token that begins a sequence, or {@link Vocabulary#NONE}. */
    public int bos() {
        return vocabulary.bos();
    }

    /** The token that ends a sequence, or {@link Vocabulary#NONE}. */
    public int eos() {
        return vocabulary.eos();
    }

    /** The control or user-defined token with exactly this text, such as {@code <|im_end|>}. */
    public OptionalInt special(String text) {
        Integer token = specialIds.get(text);
        return token == null ? OptionalInt.empty() : OptionalInt.of(token);
    }

    /** How many tokens the vocabulary has. */
    public int vocabularySize() {
        return vocabulary.size();
    }

    /** The vocabulary. */
    public Vocabulary vocabulary() {
        return vocabulary;
    }

    // String.getBytes would write a question mark for half a surrogate pair.
    private static byte[] utf8(String text) {
        try {
            ByteBuffer encoded = StandardCharsets.UTF_8
                    .newEncoder()
                    .onMalformedInput(CodingErrorAction.REPLACE)
                    .replaceWith(REPLACEMENT)
                    .encode(CharBuffer.wrap(text));
            return Arrays.copyOf(encoded.array(), encoded.limit());
        } catch (CharacterCodingException e) {
            throw new IllegalStateException("An encoder that replaces what is malformed met something malformed.", e);
        }
    }
}
