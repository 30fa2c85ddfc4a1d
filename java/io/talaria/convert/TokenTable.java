package io.talaria.convert;

import io.talaria.gguf.Printable;
import io.talaria.safetensors.SafetensorsException;
import io.talaria.safetensors.SafetensorsFault;
import io.talaria.tokenizer.SentencePieceModel.Piece;
import io.talaria.tokenizer.TokenType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** The tokens of a vocabulary as it is put together: those of the tokenizer, added ones, and unused ones at the end. */
final class TokenTable {
    /** Added tokens are found by their text, so nothing is ever merged to one. */
    private static final float ADDED_SCORE = -1000;

    /** Texts that structure prompts whatever their files say: as control tokens they cannot be written by anybody. */
    private static final Pattern MARKER = Pattern.compile("<\\|.*\\|>");

    private final Path file;
    private final int size;
    private final List<Piece> pieces;
    private int filled;

    /**
     * @param file for messages
     * @param size of the vocabulary
     */
    TokenTable(Path file, List<Piece> own, int size) throws SafetensorsException {
        this.file = file;
        this.size = size;
        this.pieces = new ArrayList<>(own);
        this.pieces.replaceAll(piece -> piece.type() == TokenType.USER_DEFINED.number() && isMarker(piece.text())
                ? new Piece(piece.text(), piece.score(), TokenType.CONTROL.number())
                : piece);
        if (own.size() > size) {
            throw fault("it has " + own.size() + " tokens where config.json says " + size);
        }
    }

    /** Adds a token, or puts it in another's place. One that is there already only becomes special if it was not. */
    void add(long id, String text, boolean special) throws SafetensorsException {
        if (id < 0 || id >= size) {
            throw fault("the added token " + Printable.name(text) + " has the id " + id + ", where config.json says "
                    + size + " tokens");
        }
        while (pieces.size() <= id) {
            pieces.add(null);
        }
        Piece old = pieces.get((int) id);
        boolean same = old != null && old.text().equals(text);
        if (same && (!special || old.type() == TokenType.UNKNOWN.number() || old.type() == TokenType.BYTE.number())) {
            return;
        }
        TokenType type = special || isMarker(text) ? TokenType.CONTROL : TokenType.USER_DEFINED;
        pieces.set((int) id, new Piece(text, same ? old.score() : ADDED_SCORE, type.number()));
    }

    private static boolean isMarker(String text) {
        return MARKER.matcher(text).matches();
    }

    /** Gives every id that has no token an unused one. */
    void fill() {
        while (pieces.size() < size) {
            pieces.add(null);
        }
        for (int id = 0; id < size; id++) {
            if (pieces.get(id) == null) {
                pieces.set(id, new Piece("[PAD" + id + "]", ADDED_SCORE, TokenType.UNUSED.number()));
                filled++;
            }
        }
    }

    /** How many ids had no token. */
    int filled() {
        return filled;
    }

    /** The first token of this text. */
    Optional<Integer> find(String text) {
        for (int id = 0; id < pieces.size(); id++) {
            if (pieces.get(id).text().equals(text)) {
                return Optional.of(id);
            }
        }
        return Optional.empty();
    }

    List<String> texts() {
        return pieces.stream().map(Piece::text).toList();
    }

    float[] scores() {
        float[] scores = new float[pieces.size()];
        for (int id = 0; id < scores.length; id++) {
            scores[id] = pieces.get(id).score();
        }
        return scores;
    }

    int[] types() {
        return pieces.stream().mapToInt(Piece::type).toArray();
    }

    private SafetensorsException fault(String problem) {
        return SafetensorsException.of(SafetensorsFault.TOKENIZER, file, problem);
    }
}
