package io.talaria.tokenizer;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/**
 * Turns tokens into text as they come. A character whose bytes are spread over several tokens appears with the last of
 * them, never in halves. For one thread; made by {@link Tokenizer#newDecoder()}.
 */
public final class StreamingDecoder {
    private final Tokenizer tokenizer;
    private final boolean renderSpecial;
    private final CharsetDecoder utf8 = StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPLACE);
    /** The bytes of a character that is not complete yet, at most three. */
    private byte[] pending = new byte[0];
    /** Whether the next piece of text begins a stretch, with a space that is not part of the text. */
    private boolean stretchStarts;

    StreamingDecoder(Tokenizer tokenizer, boolean renderSpecial, boolean start) {
        this.tokenizer = tokenizer;
        this.renderSpecial = renderSpecial;
        this.stretchStarts = start && tokenizer.vocabulary().addSpacePrefix();
    }

    /**
     * The text that is complete with this token; often empty. Bytes that cannot belong to a character become U+FFFD.
     *
     * @throws IllegalArgumentException if the token is outside the vocabulary
     */
    public String accept(int token) {
        byte[] piece = tokenizer.sharedBytes(token);
        TokenType type = tokenizer.vocabulary().type(token);
        boolean shown = renderSpecial || type != TokenType.CONTROL && type != TokenType.UNKNOWN;
        int from = shown ? 0 : piece.length;
        if (tokenizer.separates(token)) {
            stretchStarts = tokenizer.vocabulary().addSpacePrefix();
        } else if (from < piece.length) {
            from += stretchStarts && piece[0] == ' ' ? 1 : 0;
            stretchStarts = false;
        }
        return decode(piece, from, false);
    }

    /** The end of the text: U+FFFD if a character is incomplete, else nothing. The decoder is not used after that. */
    public String finish() {
        return decode(new byte[0], 0, true);
    }

    private String decode(byte[] piece, int from, boolean last) {
        ByteBuffer in = ByteBuffer.allocate(pending.length + piece.length - from)
                .put(pending)
                .put(piece, from, piece.length - from)
                .flip();
        CharBuffer out = CharBuffer.allocate(in.remaining());
        utf8.decode(in, out, last);
        pending = new byte[in.remaining()];
        in.get(pending);
        return out.flip().toString();
    }
}
