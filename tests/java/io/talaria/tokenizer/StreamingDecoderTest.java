package io.talaria.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class StreamingDecoderTest {
    private static final String ROCKET = "\uD83D\uDE80";

    @ParameterizedTest
    @MethodSource("io.talaria.tokenizer.Vocabularies#both")
    void noTextIsCutInsideACharacter(Tokenizer tokenizer, List<Vocabularies.Case> cases) {
        for (Vocabularies.Case one : cases) {
            stream(tokenizer, one.text());
        }
        Random random = new Random(99);
        for (int i = 0; i < 20_000; i++) {
            StringBuilder text = new StringBuilder();
            for (int length = random.nextInt(12); length > 0; length--) {
                text.appendCodePoint(random.nextBoolean() ? 0x1F300 + random.nextInt(0x700) : random.nextInt(0x2500));
            }
            stream(tokenizer, text.toString().replace('\u2581', '_'));
        }
    }

    private static void stream(Tokenizer tokenizer, String text) {
        int[] tokens = tokenizer.encodeLiteral(text);
        StreamingDecoder decoder = tokenizer.newDecoder();
        StringBuilder joined = new StringBuilder();
        for (int token : tokens) {
            String part = decoder.accept(token);
            if (!part.isEmpty()) {
                assertFalse(Character.isLowSurrogate(part.charAt(0)), text);
                assertFalse(Character.isHighSurrogate(part.charAt(part.length() - 1)), text);
            }
            assertFalse(part.contains("\uFFFD"), text);
            joined.append(part);
        }
        assertEquals("", decoder.finish(), text);
        assertEquals(text.replace('\u2581', ' '), joined.toString());
        assertEquals(tokenizer.decode(tokens), joined.toString());
    }

    @Test
    void aCharacterAppearsWithItsLastByte() {
        StreamingDecoder decoder = new Tokenizer(Vocabularies.bytesOnly(true)).newDecoder();
        byte[] bytes = ("a" + ROCKET + "\u00E9").getBytes(StandardCharsets.UTF_8);
        String[] expected = {"a", "", "", "", ROCKET, "", "\u00E9"};
        for (int i = 0; i < bytes.length; i++) {
            assertEquals(expected[i], decoder.accept((bytes[i] & 0xFF) + 1));
        }
        assertEquals("", decoder.finish());
    }

    @Test
    void malformedBytesBecomeReplacementCharacters() {
        Tokenizer tokenizer = new Tokenizer(Vocabularies.bytesOnly(false));
        Random random = new Random(5);
        for (int i = 0; i < 50_000; i++) {
            int[] tokens = new int[random.nextInt(12)];
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            for (int k = 0; k < tokens.length; k++) {
                // Mostly leading and following bytes, so that broken sequences of every kind occur.
                int value = random.nextInt(4) == 0 ? random.nextInt(256) : 0x80 + random.nextInt(128);
                tokens[k] = value + 1;
                bytes.write(value);
            }
            assertEquals(bytes.toString(StandardCharsets.UTF_8), tokenizer.decode(tokens));
        }
    }

    @Test
    void anUnfinishedCharacterIsReportedAtTheEnd() {
        StreamingDecoder decoder = new Tokenizer(Vocabularies.bytesOnly(true)).newDecoder();
        assertEquals("", decoder.accept(0xF0 + 1));
        assertEquals("", decoder.accept(0x9F + 1));
        assertEquals("\uFFFD", decoder.finish());
    }

    @Test
    void controlTokensAreLeftOutOrShown() throws IOException {
        Tokenizer tokenizer = Vocabularies.mistral();
        int[] tokens = tokenizer.encode("<|im_start|>user\nHi there<|im_end|> x", true, true);
        assertEquals("user\nHi there x", tokenizer.decode(tokens));
        assertEquals("<s><|im_start|>user\nHi there<|im_end|> x", tokenizer.decode(tokens, true));
        StreamingDecoder shown = tokenizer.newDecoder(true, true);
        StringBuilder joined = new StringBuilder();
        for (int token : tokens) {
            joined.append(shown.accept(token));
        }
        assertEquals(tokenizer.decode(tokens, true), joined + shown.finish());
    }

    @Test
    void onlyATextThatGoesOnKeepsItsFirstSpace() throws IOException {
        Tokenizer tokenizer = Vocabularies.mistral();
        int hello = tokenizer.encodeLiteral("Hello")[0];
        assertEquals("Hello", tokenizer.newDecoder().accept(hello));
        assertEquals(" Hello", tokenizer.newDecoder(false, false).accept(hello));
        StreamingDecoder decoder = tokenizer.newDecoder();
        assertEquals("", decoder.accept(tokenizer.bos()));
        assertEquals("Hello", decoder.accept(hello));
        assertEquals(" Hello", decoder.accept(hello));
    }
}
