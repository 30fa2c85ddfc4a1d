package io.talaria.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.gguf.GgufException;
import io.talaria.gguf.GgufWriter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GgufVocabularyTest {
    @TempDir
    private Path folder;

    private Vocabulary read(Consumer<GgufWriter> change) throws IOException {
        GgufWriter writer = new GgufWriter()
                .putString("general.architecture", "llama")
                .putString("tokenizer.ggml.model", "llama")
                .putStringArray("tokenizer.ggml.tokens", List.of("<unk>", "<s>", "</s>", "a", "<|im_end|>"))
                .putFloat32Array("tokenizer.ggml.scores", new float[] {0, 0, 0, -1, -1000})
                .putInt32Array("tokenizer.ggml.token_type", new int[] {2, 3, 3, 1, 4});
        change.accept(writer);
        Path file = folder.resolve("vocabulary.gguf");
        writer.write(file);
        return Vocabularies.read(file);
    }

    private void refused(String words, Consumer<GgufWriter> change) {
        GgufException e = assertThrows(GgufException.class, () -> read(change));
        assertTrue(e.getMessage().contains(words), e.getMessage());
        assertTrue(e.getMessage().contains("vocabulary.gguf"), e.getMessage());
    }

    @Test
    void absentKeysHaveTheDefaultsOfSentencePiece() throws IOException {
        Vocabulary vocabulary = read(writer -> {});
        assertEquals(1, vocabulary.bos());
        assertEquals(2, vocabulary.eos());
        assertEquals(0, vocabulary.unknown());
        assertTrue(vocabulary.addBos());
        assertFalse(vocabulary.addEos());
        assertTrue(vocabulary.addSpacePrefix());
        assertEquals(-1000, vocabulary.score(4));
    }

    @Test
    void keysAreRead() throws IOException {
        Vocabulary vocabulary = read(writer -> writer.putUint32("tokenizer.ggml.bos_token_id", 2)
                .putUint32("tokenizer.ggml.eos_token_id", 4)
                .putUint32("tokenizer.ggml.unknown_token_id", 3)
                .putBool("tokenizer.ggml.add_bos_token", false)
                .putBool("tokenizer.ggml.add_eos_token", true)
                .putBool("tokenizer.ggml.add_space_prefix", false));
        assertEquals(2, vocabulary.bos());
        assertEquals(4, vocabulary.eos());
        assertEquals(3, vocabulary.unknown());
        assertFalse(vocabulary.addBos());
        assertTrue(vocabulary.addEos());
        assertFalse(vocabulary.addSpacePrefix());
    }

    @Test
    void theEndOfATurnIsAControlToken() throws IOException {
        Vocabulary vocabulary = read(writer -> {});
        assertEquals(TokenType.CONTROL, vocabulary.type(4));
        assertEquals(TokenType.NORMAL, vocabulary.type(3));
    }

    @Test
    void missingAndImpossibleKeysAreNamed() {
        for (String key : new String[] {"model", "tokens", "scores", "token_type"}) {
            refused("tokenizer.ggml." + key, writer -> writer.remove("tokenizer.ggml." + key));
        }
        refused("tokenizer.ggml.model", writer -> writer.putString("tokenizer.ggml.model", "gpt2"));
        refused("tokenizer.ggml.scores", writer -> writer.putString("tokenizer.ggml.scores", "none"));
        refused("4 scores", writer -> writer.putFloat32Array("tokenizer.ggml.scores", new float[4]));
        refused("bos token 5", writer -> writer.putUint32("tokenizer.ggml.bos_token_id", 5));
        refused("there is no token 4294967295", writer -> writer.putUint32("tokenizer.ggml.eos_token_id", 4294967295L));
    }
}
