package io.talaria.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The rules of encoding on small vocabularies, against slow and obvious implementations. */
class TokenizerRulesTest {
    private static final int NORMAL = 1;
    private static final int UNKNOWN = 2;
    private static final int CONTROL = 3;
    private static final int USER_DEFINED = 4;
    private static final int UNUSED = 5;

    @Test
    void mergesEqualTheDefinition() {
        Random random = new Random(1);
        for (int round = 0; round < 2000; round++) {
            Map<String, Integer> ids = new HashMap<>();
            List<String> pieces = new ArrayList<>(List.of("<unk>", "a", "b", "c", "d"));
            while (pieces.size() < 40) {
                String piece = randomString(random, 2 + random.nextInt(4));
                if (!pieces.contains(piece)) {
                    pieces.add(piece);
                }
            }
            float[] scores = new float[40];
            int[] types = new int[40];
            for (int token = 0; token < 40; token++) {
                ids.put(pieces.get(token), token);
                // Few distinct scores, so that ties are common; of both signs of zero, which are equal.
                scores[token] = new float[] {-0f, 0f, -1, -2.5f}[random.nextInt(4)];
                types[token] = token == 0 ? UNKNOWN : random.nextInt(9) == 0 ? UNUSED : NORMAL;
            }
            Tokenizer tokenizer = new Tokenizer(
                    new Vocabulary(pieces.toArray(new String[0]), scores, types, -1, -1, 0, false, false, false));
            for (int i = 0; i < 20; i++) {
                String text = randomString(random, random.nextInt(30));
                assertArrayEquals(mergedSlowly(text, ids, scores), tokenizer.encode(text, true, true), text);
            }
        }
    }

    private static int[] mergedSlowly(String text, Map<String, Integer> ids, float[] scores) {
        List<String> symbols =
                new ArrayList<>(text.chars().mapToObj(Character::toString).toList());
        while (true) {
            int best = -1;
            float bestScore = 0;
            for (int i = 0; i + 1 < symbols.size(); i++) {
                Integer token = ids.get(symbols.get(i) + symbols.get(i + 1));
                if (token != null && (best < 0 || scores[token] > bestScore)) {
                    best = i;
                    bestScore = scores[token];
                }
            }
            if (best < 0) {
                return symbols.stream().mapToInt(ids::get).toArray();
            }
            symbols.set(best, symbols.get(best) + symbols.remove(best + 1));
        }
    }

    private static String randomString(Random random, int length) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < length; i++) {
            text.append((char) ('a' + random.nextInt(4)));
        }
        return text.toString();
    }

    @Test
    void specialTokensAreCutOutLongestFirst() {
        Random random = new Random(2);
        for (int round = 0; round < 2000; round++) {
            String[] specials = new String[8];
            for (int i = 0; i < specials.length; i++) {
                // Of distinct lengths or texts, as the order among equal ones is not defined elsewhere.
                specials[i] = randomString(random, 1 + i);
            }
            Vocabulary vocabulary = Vocabularies.with(Vocabularies.bytesOnly(false), TokenType.CONTROL, specials);
            Tokenizer tokenizer = new Tokenizer(vocabulary);
            for (int i = 0; i < 20; i++) {
                String text = randomString(random, random.nextInt(40));
                assertArrayEquals(cutSlowly(text, specials), tokenizer.encode(text, false, true), text);
            }
        }
    }

    private static int[] cutSlowly(String text, String[] specials) {
        int longest = specials.length - 1;
        while (longest >= 0 && !text.contains(specials[longest])) {
            longest--;
        }
        if (longest < 0) {
            return text.chars().map(c -> c + 1).toArray();
        }
        int at = text.indexOf(specials[longest]);
        IntList ids = new IntList();
        // What is left of the first occurrence holds none of this token any more, what is right of it may.
        Arrays.stream(cutSlowly(text.substring(0, at), specials)).forEach(ids::add);
        ids.add(257 + longest);
        Arrays.stream(cutSlowly(text.substring(at + longest + 1), specials)).forEach(ids::add);
        return ids.toArray();
    }

    @Test
    void aSpaceGoesBeforeEachStretchIfTheVocabularySaysSo() {
        Vocabulary with = Vocabularies.with(Vocabularies.bytesOnly(true), TokenType.CONTROL, "[X]");
        with = Vocabularies.with(with, TokenType.NORMAL, "\u2581");
        assertArrayEquals(
                new int[] {258, 'a' + 1, 257, 258, 258, 'b' + 1, 257, 257},
                new Tokenizer(with).encode("a[X] b[X][X]", false, true));
        assertArrayEquals(new int[0], new Tokenizer(with).encode("", false, true));

        Vocabulary without = Vocabularies.with(Vocabularies.bytesOnly(false), TokenType.CONTROL, "[X]");
        without = Vocabularies.with(without, TokenType.NORMAL, "\u2581");
        Tokenizer tokenizer = new Tokenizer(without);
        int[] ids = {'a' + 1, 257, 258, 'b' + 1};
        assertArrayEquals(ids, tokenizer.encode("a[X] b", false, true));
        assertEquals("a b", tokenizer.decode(ids));
        assertEquals(" b", tokenizer.decode(new int[] {258, 'b' + 1}));
    }

    @Test
    void textNeverMergesIntoASpecialToken() {
        String[] pieces = {"<unk>", "<", "s", ">", "<s", "<s>", "s>", "!", "<!"};
        int[] types = {UNKNOWN, NORMAL, NORMAL, NORMAL, NORMAL, CONTROL, USER_DEFINED, CONTROL, UNKNOWN};
        Tokenizer tokenizer =
                new Tokenizer(new Vocabulary(pieces, new float[9], types, -1, -1, 0, false, false, false));
        assertArrayEquals(new int[] {4, 3}, tokenizer.encodeLiteral("<s>"));
        assertArrayEquals(new int[] {1, 6}, tokenizer.encode("<s>", false, false));
        assertArrayEquals(new int[] {5}, tokenizer.encode("<s>", false, true));
        assertArrayEquals(new int[] {0}, tokenizer.encodeLiteral("!"));
        assertArrayEquals(new int[] {7}, tokenizer.encode("!", false, true));
        assertArrayEquals(new int[] {8}, tokenizer.encode("<!", false, true));
    }

    @Test
    void aCharacterWithoutTokensIsOneUnknown() {
        String[] pieces = {"<unk>", "a", "<0xC3>", "<0xA9>", "<s>", "</s>"};
        int[] types = {UNKNOWN, NORMAL, 6, 6, CONTROL, CONTROL};
        Tokenizer tokenizer = new Tokenizer(new Vocabulary(pieces, new float[6], types, 4, 5, 0, true, true, false));
        assertArrayEquals(
                new int[] {4, 1, 2, 3, 0, 0, 1, 5}, tokenizer.encode("a\u00E9\u65E5\uD83D\uDE80a", true, true));
        assertArrayEquals(new int[] {1}, tokenizer.encode("a", false, true));
    }

    @Test
    void lookUps() {
        Vocabulary vocabulary =
                Vocabularies.with(Vocabularies.bytesOnly(true), TokenType.NORMAL, "\u2581h\u2581\u00E9");
        vocabulary = Vocabularies.with(vocabulary, TokenType.CONTROL, "<c>");
        Tokenizer tokenizer = new Tokenizer(Vocabularies.with(vocabulary, TokenType.USER_DEFINED, "u\u2581"));
        assertEquals(260, tokenizer.vocabularySize());
        assertEquals(OptionalInt.of(258), tokenizer.special("<c>"));
        assertEquals(OptionalInt.of(259), tokenizer.special("u\u2581"));
        assertEquals(OptionalInt.empty(), tokenizer.special("<unk>"));
        assertEquals(OptionalInt.empty(), tokenizer.special("<0x41>"));
        assertArrayEquals(new byte[] {(byte) 0xFE}, tokenizer.bytes(255));
        assertArrayEquals(" h \u00E9".getBytes(StandardCharsets.UTF_8), tokenizer.bytes(257));
        assertArrayEquals("u\u2581".getBytes(StandardCharsets.UTF_8), tokenizer.bytes(259));
        tokenizer.bytes(257)[0] = 'x';
        assertEquals(' ', tokenizer.bytes(257)[0]);
        for (int token : new int[] {-1, 260, Integer.MIN_VALUE}) {
            assertThrows(IllegalArgumentException.class, () -> tokenizer.bytes(token));
            assertThrows(IllegalArgumentException.class, () -> tokenizer.decode(new int[] {token}));
        }
        String tooLong = "a".repeat(Tokenizer.MAX_CHARACTERS + 1);
        IllegalArgumentException e =
                assertThrows(IllegalArgumentException.class, () -> tokenizer.encodeLiteral(tooLong));
        assertTrue(e.getMessage().contains("split it"), e.getMessage());
    }

    @Test
    void theHeapSorts() {
        Random random = new Random(3);
        for (int size = 0; size < 200; size++) {
            LongHeap heap = new LongHeap(0);
            List<Long> expected = new ArrayList<>();
            for (int i = 0; i < size; i++) {
                long element = random.nextInt(50);
                heap.add(element);
                expected.add(element);
            }
            expected.sort(Comparator.naturalOrder());
            for (long element : expected) {
                assertEquals(element, heap.poll());
            }
            assertTrue(heap.isEmpty());
        }
    }
}
