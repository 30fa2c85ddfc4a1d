package io.talaria.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Token ids against those of llama.cpp. */
class TokenizerGoldenTest {
    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void idsEqualTheReference(int vocabulary) throws IOException {
        Tokenizer tokenizer = vocabulary == 0 ? Vocabularies.nano() : Vocabularies.mistral();
        List<Vocabularies.Case> cases = Vocabularies.cases(vocabulary);
        assertTrue(cases.size() >= 37);
        for (Vocabularies.Case one : cases) {
            assertArrayEquals(one.ids(), tokenizer.encode(one.text(), true, true), one.text());
            assertArrayEquals(one.idsNoSpecialParse(), tokenizer.encode(one.text(), true, false), one.text());
            assertArrayEquals(one.idsNoBos(), tokenizer.encode(one.text(), false, true), one.text());
        }
    }

    @Test
    void publishedCasesOfTheLlamaVocabulary() throws IOException {
        Tokenizer tokenizer = new Tokenizer(Vocabularies.read(TestData.vocab("llama-spm.gguf")));
        String[] texts = Files.readString(TestData.vocab("llama-spm.inp")).split("\n__ggml_vocab_test__\n", -1);
        List<String> expected = Files.readAllLines(TestData.vocab("llama-spm.out"));
        assertTrue(texts.length >= 40);
        for (int i = 0; i < texts.length - 1; i++) {
            String line = expected.get(i).strip();
            int[] ids = line.isEmpty()
                    ? new int[0]
                    : Arrays.stream(line.split(" ")).mapToInt(Integer::parseInt).toArray();
            assertArrayEquals(ids, tokenizer.encode(texts[i], false, false), texts[i]);
        }
        assertEquals(texts.length - 1, expected.size());
    }
}
