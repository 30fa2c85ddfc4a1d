package io.talaria;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.engine.Completion;
import io.talaria.engine.FinishReason;
import io.talaria.model.Model;
import io.talaria.sampling.StopMatcher;
import io.talaria.tokenizer.Tokenizer;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Tokens in, text out, without a device. */
class GenerationTest {
    private static Tokenizer tokenizer() throws IOException {
        try (Model model = Model.open(TestData.golden("nano-Q4_K_M.gguf"))) {
            return model.tokenizer();
        }
    }

    /** Hands the tokens in, one by one, and takes the pieces as soon as they are there. */
    private static List<String> pieces(Tokenizer tokenizer, int[] tokens, List<String> stops) throws Exception {
        Generation generation = new Generation();
        Generation.Writer writer =
                new Generation.Writer(generation, tokenizer.newDecoder(false, true), new StopMatcher(stops), 1);
        int taken = 0;
        for (int token : tokens) {
            taken++;
            if (!writer.token(token)) {
                break;
            }
        }
        writer.finished(new Completion(FinishReason.STOP, 1, 0, taken, 1, 1));
        List<String> pieces = new ArrayList<>();
        generation.forEach(pieces::add);
        assertEquals(String.join("", pieces), generation.await().text());
        return pieces;
    }

    @Test
    void charactersAreNeverCut() throws Exception {
        Tokenizer tokenizer = tokenizer();
        String text = "Grüße 🚀 und 🚁 — 終わり";
        int[] tokens = tokenizer.encodeLiteral(text);
        assertTrue(tokens.length > text.length(), "the characters are spread over several tokens");
        List<String> pieces = pieces(tokenizer, tokens, List.of());
        assertEquals(text, String.join("", pieces));
        for (String piece : pieces) {
            assertFalse(piece.isEmpty() || piece.contains("\ufffd"), piece);
            assertFalse(Character.isLowSurrogate(piece.charAt(0)), piece);
            assertFalse(Character.isHighSurrogate(piece.charAt(piece.length() - 1)), piece);
        }
        assertEquals("Grüße 🚀 und ", String.join("", pieces(tokenizer, tokens, List.of("🚁"))));
        assertEquals(text, String.join("", pieces(tokenizer, tokens, List.of("🚂", "終わりX"))));
    }

    @Test
    void halfACharacterAtTheEndIsSaidToBeOne() throws Exception {
        Tokenizer tokenizer = tokenizer();
        int[] tokens = tokenizer.encodeLiteral("so 🚀");
        int[] cut = Arrays.copyOf(tokens, tokens.length - 1);
        assertEquals("so \ufffd", String.join("", pieces(tokenizer, cut, List.of("🚀"))));
        assertEquals("so ", String.join("", pieces(tokenizer, cut, List.of("\ufffd"))));
    }
}
