package io.talaria.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class TokenizerRoundTripTest {
    private static final int STRINGS = 100_000;
    private static final String[] MARKERS = {
        "<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", "<|im_end", "|>", "<0x41>", "<<s>>", " <s> "
    };

    /** Random characters of all kinds, with halves of surrogate pairs and texts of special tokens in between. */
    static String randomText(Random random) {
        StringBuilder text = new StringBuilder();
        for (int length = random.nextInt(24); length > 0; length--) {
            switch (random.nextInt(10)) {
                case 0, 1, 2 -> text.append((char) (' ' + random.nextInt(95)));
                case 3 -> text.append(" ".repeat(1 + random.nextInt(4)));
                case 4 -> text.append((char) random.nextInt(32));
                case 5 -> text.appendCodePoint(0x1F300 + random.nextInt(0x400));
                case 6 -> text.appendCodePoint(random.nextInt(Character.MAX_CODE_POINT + 1));
                case 7 -> text.append((char) random.nextInt(1 << 16));
                case 8 -> text.append((char) (0xD800 + random.nextInt(0x800)));
                default -> text.append(MARKERS[random.nextInt(MARKERS.length)]);
            }
        }
        return text.toString().replace('\u2581', '_');
    }

    private static String withoutHalves(String text) {
        int[] characters = text.codePoints()
                .map(c -> c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE ? 0xFFFD : c)
                .toArray();
        return new String(characters, 0, characters.length);
    }

    @ParameterizedTest
    @MethodSource("io.talaria.tokenizer.Vocabularies#both")
    void anyTextComesBack(Tokenizer tokenizer, List<Vocabularies.Case> cases) {
        Random random = new Random(40);
        for (int i = 0; i < STRINGS; i++) {
            String text = randomText(random);
            String expected = withoutHalves(text);
            assertEquals(expected, tokenizer.decode(tokenizer.encodeLiteral(text)));
            assertEquals(expected, tokenizer.decode(tokenizer.encode(text, true, false)));
            assertEquals(expected, tokenizer.decode(tokenizer.encode(text, false, true), true));
        }
        for (Vocabularies.Case one : cases) {
            assertEquals(one.text().replace('\u2581', ' '), tokenizer.decode(one.idsNoSpecialParse()));
        }
    }

    @ParameterizedTest
    @MethodSource("io.talaria.tokenizer.Vocabularies#both")
    void typedSpecialTokensStayText(Tokenizer tokenizer, List<Vocabularies.Case> cases) {
        Vocabulary vocabulary = tokenizer.vocabulary();
        Random random = new Random(39);
        for (int i = 0; i < STRINGS; i++) {
            String text = randomText(random);
            for (int token : tokenizer.encodeLiteral(text)) {
                TokenType type = vocabulary.type(token);
                assertFalse(
                        type == TokenType.CONTROL || type == TokenType.UNKNOWN || type == TokenType.USER_DEFINED, text);
            }
            for (int token : tokenizer.encode(text, false, false)) {
                TokenType type = vocabulary.type(token);
                assertFalse(type == TokenType.CONTROL || type == TokenType.UNKNOWN, text);
            }
        }
        for (Vocabularies.Case one : cases) {
            if (!one.text().contains("<|im_start|>")) {
                int[] expected = Arrays.copyOfRange(one.idsNoSpecialParse(), 1, one.idsNoSpecialParse().length);
                assertArrayEquals(expected, tokenizer.encodeLiteral(one.text()), one.text());
            }
        }
    }

    @Test
    void whatDoesNotComeBack() throws IOException {
        Tokenizer tokenizer = Vocabularies.nano();
        assertEquals("a b", tokenizer.decode(tokenizer.encode("a\u2581b", true, true)));
        assertEquals("a\uFFFDb\uFFFD\uFFFD", tokenizer.decode(tokenizer.encode("a\uD83Db\uDE80\uD83D", true, true)));
    }
}
