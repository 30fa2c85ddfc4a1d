package io.talaria.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class VocabularyTest {
    private String[] pieces = {"<unk>", "<s>", "</s>", "<0x4a>", "a"};
    private float[] scores = {0, 0, 0, 0, -1};
    private int[] types = {2, 3, 3, 6, 1};
    private int bos = 1;
    private int eos = 2;
    private int unknown = 0;

    private Vocabulary build() {
        return new Vocabulary(pieces, scores, types, bos, eos, unknown, true, true, true);
    }

    private void refused(String words) {
        IllegalArgumentException e = assertThrows(IllegalArgumentException.class, this::build);
        assertTrue(e.getMessage().contains(words), e.getMessage());
    }

    @Test
    void isWhatItWasGiven() {
        Vocabulary vocabulary = build();
        assertEquals(5, vocabulary.size());
        assertEquals("a", vocabulary.piece(4));
        assertEquals(-1, vocabulary.score(4));
        assertEquals(TokenType.BYTE, vocabulary.type(3));
        assertEquals(3, vocabulary.byteToken(0x4A));
        assertEquals(Vocabulary.NONE, vocabulary.byteToken(0x4B));
        pieces[4] = "b";
        assertEquals("a", vocabulary.piece(4));
    }

    @Test
    void lengthsMustAgree() {
        scores = new float[4];
        refused("5 tokens, but 4 scores and 5 types");
        scores = new float[5];
        types = new int[6];
        refused("5 scores and 6 types");
        pieces = new String[0];
        refused("no tokens");
    }

    @Test
    void typesAreOneToSix() {
        types[4] = 0;
        refused("token 4: the token type 0");
        types[4] = 7;
        refused("token 4: the token type 7");
    }

    @Test
    void idsAreInsideTheVocabulary() {
        bos = 5;
        refused("bos token 5 is outside");
        bos = -2;
        refused("bos token -2 is outside");
        bos = Vocabulary.NONE;
        refused("bos token is to be added");
        bos = 1;
        eos = 5;
        refused("eos token 5 is outside");
        eos = Vocabulary.NONE;
        refused("eos token is to be added");
        eos = 2;
        unknown = 5;
        refused("unknown token 5 is outside");
    }

    @Test
    void bytesNeedTokensOrAnUnknown() {
        unknown = Vocabulary.NONE;
        refused("byte 0x00 has no token");
    }

    @Test
    void tokensAreWellFormed() {
        for (String piece : new String[] {"<0x4G>", "<0x4>", "0x4A", "<0x\u0664A>", "<0X4A>", "<0x-1>", ""}) {
            pieces[3] = piece;
            refused("token 3 is a byte");
        }
        pieces[3] = "<0x4A>";
        scores[4] = Float.NaN;
        refused("token 4 has no score");
        pieces[4] = null;
        refused("token 4 has no text");
    }
}
