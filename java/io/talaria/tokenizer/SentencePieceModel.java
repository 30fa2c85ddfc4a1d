package io.talaria.tokenizer;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * What a SentencePiece file (tokenizer.model) says, as far as it matters for byte-pair encoding.
 *
 * @param pieces each token's text, score and type by its number in GGUF, which is SentencePiece's own
 * @param bos the token that begins a sequence, or {@link Vocabulary#NONE}; likewise the other ids
 * @param addSpacePrefix whether a space is put before text
 * @param normaliser the name of what texts are changed by before they are encoded, or an empty text
 * @param dropsSpaces whether spaces at the ends and repeated ones are dropped
 */
public record SentencePieceModel(
        List<Piece> pieces,
        int bos,
        int eos,
        int unknown,
        boolean addSpacePrefix,
        String normaliser,
        boolean dropsSpaces) {
    /** Tokens that are read at most. */
    public static final int MAX_PIECES = 1 << 22;

    private static final int BPE = 2;

    /** A token. */
    public record Piece(String text, float score, int type) {}

    /** Copies the list. */
    public SentencePieceModel {
        pieces = List.copyOf(pieces);
    }

    /**
     * Reads a file.
     *
     * @throws IllegalArgumentException if it is damaged, or is of another kind than byte-pair encoding; the message is
     *     half a sentence
     */
    public static SentencePieceModel read(ByteBuffer file) {
        Reading reading = new Reading();
        ProtoReader fields = new ProtoReader(file);
        while (fields.next()) {
            switch (fields.field()) {
                case 1 -> reading.piece(fields.delimited());
                case 2 -> reading.trainer(fields.delimited());
                case 3 -> reading.normaliser(fields.delimited());
                default -> fields.skip();
            }
        }
        return reading.model();
    }

    /** The fields of a file, with SentencePiece's defaults for those that are absent. */
    private static final class Reading {
        private final List<Piece> pieces = new ArrayList<>();
        private int kind = 1; // unigram
        private int unknown = 0;
        private int bos = 1;
        private int eos = 2;
        private boolean suffix;
        private String name = "";
        private boolean changes;
        private boolean addSpacePrefix = true;
        private boolean dropsSpaces = true;
        private boolean escapesSpaces = true;

        private void piece(ByteBuffer message) {
            if (pieces.size() == MAX_PIECES) {
                throw new IllegalArgumentException("it has more than " + MAX_PIECES + " tokens");
            }
            String text = "";
            float score = 0;
            int type = 1;
            ProtoReader fields = new ProtoReader(message);
            while (fields.next()) {
                switch (fields.field()) {
                    case 1 -> text = fields.text();
                    case 2 -> score = fields.decimal();
                    case 3 -> type = fields.number();
                    default -> fields.skip();
                }
            }
            pieces.add(new Piece(text, score, type));
        }

        private void trainer(ByteBuffer message) {
            ProtoReader fields = new ProtoReader(message);
            while (fields.next()) {
                switch (fields.field()) {
                    case 3 -> kind = fields.number();
                    case 24 -> suffix = fields.flag();
                    case 40 -> unknown = fields.number();
                    case 41 -> bos = fields.number();
                    case 42 -> eos = fields.number();
                    default -> fields.skip();
                }
            }
        }

        private void normaliser(ByteBuffer message) {
            ProtoReader fields = new ProtoReader(message);
            while (fields.next()) {
                switch (fields.field()) {
                    case 1 -> name = fields.text();
                    case 2 -> changes = fields.delimited().hasRemaining();
                    case 3 -> addSpacePrefix = fields.flag();
                    case 4 -> dropsSpaces = fields.flag();
                    case 5 -> escapesSpaces = fields.flag();
                    default -> fields.skip();
                }
            }
        }

        private SentencePieceModel model() {
            if (pieces.isEmpty()) {
                throw new IllegalArgumentException("it has no tokens");
            }
            if (kind != BPE) {
                throw new IllegalArgumentException("it is no byte-pair encoding, which is what Talaria does");
            }
            if (suffix || !escapesSpaces) {
                throw new IllegalArgumentException("it keeps spaces in a way that Talaria does not do");
            }
            return new SentencePieceModel(
                    pieces,
                    bos,
                    eos,
                    unknown,
                    addSpacePrefix,
                    changes ? name.isEmpty() ? "unnamed" : name : "",
                    dropsSpaces);
        }
    }
}
