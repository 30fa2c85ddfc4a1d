package io.talaria.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** One megabyte of each kind of text: not a benchmark, only a fence against quadratic behaviour. */
class TokenizerSpeedTest {
    private static final int MEGABYTE = 1 << 20;
    private static final double LIMIT_SECONDS = 10;

    @ParameterizedTest
    @MethodSource("io.talaria.tokenizer.Vocabularies#both")
    void aMegabyteTakesAMoment(Tokenizer tokenizer, List<Vocabularies.Case> cases) throws IOException {
        StringBuilder prose = new StringBuilder();
        Random random = new Random(1);
        while (prose.length() < MEGABYTE) {
            prose.append(cases.get(random.nextInt(cases.size())).text()).append(' ');
        }
        byte[] bytes = new byte[MEGABYTE];
        random.nextBytes(bytes);
        measure(tokenizer, "mixed prose", prose.toString());
        measure(tokenizer, "one letter", "a".repeat(MEGABYTE));
        measure(tokenizer, "spaces", " ".repeat(MEGABYTE));
        measure(tokenizer, "emoji", "\uD83D\uDE80".repeat(MEGABYTE / 4));
        measure(tokenizer, "random bytes", new String(bytes, StandardCharsets.ISO_8859_1));
        measure(tokenizer, "special tokens", "<s>".repeat(MEGABYTE / 3));
        measure(tokenizer, "beginnings of special tokens", "<|im_".repeat(MEGABYTE / 5));
    }

    private static void measure(Tokenizer tokenizer, String name, String text) {
        long start = System.nanoTime();
        int[] tokens = tokenizer.encode(text, false, true);
        long encoded = System.nanoTime();
        String decoded = tokenizer.decode(tokens, true);
        long end = System.nanoTime();
        System.out.printf(
                "1 MB of %s, %,d tokens of %,d: encoded in %.2f s, decoded in %.2f s%n",
                name, tokens.length, tokenizer.vocabularySize(), (encoded - start) / 1e9, (end - encoded) / 1e9);
        assertEquals(text.replace('\u2581', ' '), decoded);
        assertTrue((end - start) / 1e9 < LIMIT_SECONDS, name);
    }
}
