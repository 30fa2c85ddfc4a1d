package io.talaria.convert;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.gguf.GgufFile;
import io.talaria.gguf.GgufMetadata;
import io.talaria.gguf.GgufWriter;
import io.talaria.quant.TensorType;
import io.talaria.safetensors.HfFolder;
import io.talaria.safetensors.SafetensorsBuilder;
import io.talaria.tokenizer.GgufVocabulary;
import io.talaria.tokenizer.TokenType;
import io.talaria.tokenizer.Tokenizer;
import io.talaria.tokenizer.Vocabulary;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class TokenizerFilesTest {
    private static final Path DATA = Path.of("tests", "data", "tokenizer");
    private static final String CHATML = """
            {"added_tokens_decoder": {
               "0": {"content": "<unk>", "special": true},
               "2": {"content": "</s>", "special": true},
               "600": {"content": "<|im_end|>", "special": true},
               "601": {"content": "<|im_start|>", "special": false},
               "602": {"content": "plain", "special": false}},
             "eos_token": "<|im_end|>", "bos_token": {"content": "<s>"}, "add_bos_token": true,
             "chat_template": "{{ messages }}"}""";

    @TempDir
    private Path folder;

    @BeforeEach
    void files() throws IOException {
        write("config.json", "{\"eos_token_id\": [2, 7]}");
        Files.write(
                folder.resolve("model.safetensors"),
                new SafetensorsBuilder()
                        .tensor("a", TensorType.F32, List.of(1L), new byte[4])
                        .build());
        Files.copy(DATA.resolve("sentencepiece.model"), folder.resolve("tokenizer.model"));
    }

    private void write(String name, String text) throws IOException {
        Files.writeString(folder.resolve(name), text);
    }

    private GgufMetadata metadata(int size, List<String> notes) throws IOException {
        GgufWriter writer = new GgufWriter();
        try (HfFolder opened = HfFolder.open(folder)) {
            List<String> found = TokenizerFiles.put(writer, opened, size);
            assertEquals(notes.size(), found.size(), found.toString());
            for (int i = 0; i < notes.size(); i++) {
                assertTrue(found.get(i).contains(notes.get(i)), found.toString());
            }
        }
        try (GgufFile file = writer.open("x.gguf", (tensor, offset, target) -> {})) {
            return file.metadata();
        }
    }

    private void refused(int size, String sentence) {
        IOException e = assertThrows(IOException.class, () -> metadata(size, List.of()));
        assertTrue(e.getMessage().contains(sentence), e.getMessage());
    }

    /** The whole way: SentencePiece's file, through GGUF's metadata, to SentencePiece's own ids. */
    @Test
    void textsGetTheIdsOfSentencePiece() throws IOException {
        Tokenizer tokenizer = new Tokenizer(GgufVocabulary.read(metadata(600, List.of("no chat template"))));
        JsonNode cases = JsonMapper.builder().build().readTree(DATA.resolve("sentencepiece.json"));
        assertEquals(11, cases.size());
        for (JsonNode one : cases) {
            int[] expected =
                    one.get("tokens").valueStream().mapToInt(JsonNode::asInt).toArray();
            String text = one.get("text").asString();
            assertArrayEquals(expected, tokenizer.encode(text, false, true), text);
        }
    }

    @Test
    void addedTokensComeBehind() throws IOException {
        write("tokenizer_config.json", CHATML);
        write("added_tokens.json", "{\"<|im_end|>\": 600, \"other\": 604}");
        GgufMetadata metadata = metadata(606, List.of("2 of the model's tokens have no text"));
        Vocabulary vocabulary = GgufVocabulary.read(metadata);
        assertEquals(606, vocabulary.size());
        assertEquals("<|im_start|>", vocabulary.piece(601));
        assertEquals(TokenType.CONTROL, vocabulary.type(600));
        assertEquals(TokenType.CONTROL, vocabulary.type(601));
        assertEquals(TokenType.USER_DEFINED, vocabulary.type(602));
        assertEquals("<|tool|>", vocabulary.piece(3));
        assertEquals(TokenType.CONTROL, vocabulary.type(3)); // user-defined in tokenizer.model
        assertEquals(TokenType.UNUSED, vocabulary.type(603));
        assertEquals("other", vocabulary.piece(604));
        assertEquals(TokenType.UNKNOWN, vocabulary.type(0));
        assertEquals(600, vocabulary.eos());
        assertEquals(1, vocabulary.bos());
        assertEquals(
                "{{ messages }}", metadata.string("tokenizer.chat_template").orElseThrow());
    }

    @Test
    void idsComeFromTheModelsConfigOtherwise() throws IOException {
        write("config.json", "{\"eos_token_id\": [300, 7], \"bos_token_id\": null}");
        write("chat_template.jinja", "{{ bos_token }}");
        GgufMetadata metadata = metadata(600, List.of());
        assertEquals(300, metadata.uint32("tokenizer.ggml.eos_token_id").orElseThrow());
        assertEquals(1, metadata.uint32("tokenizer.ggml.bos_token_id").orElseThrow());
        assertEquals(
                "{{ bos_token }}", metadata.string("tokenizer.chat_template").orElseThrow());
    }

    @Test
    void aFolderWithoutATokenizerGivesAFileWithout() throws IOException {
        Files.delete(folder.resolve("tokenizer.model"));
        assertTrue(metadata(600, List.of("takes token ids only")).keys().isEmpty());
    }

    @Test
    void filesThatContradictEachOtherAreRefused() throws IOException {
        refused(599, "has 600 tokens where config.json says 599");
        write("added_tokens.json", "{\"<|im_end|>\": 600}");
        refused(600, "has the id 600, where config.json says 600 tokens");
        write("added_tokens.json", "{\"<|im_end|>\": \"600\"}");
        refused(601, "id is not a number");
        Files.delete(folder.resolve("added_tokens.json"));
        write("tokenizer_config.json", "{\"eos_token\": \"<|im_end|>\"}");
        refused(600, "eos_token is '<|im_end|>', which is no token");
        write("tokenizer_config.json", "{\"added_tokens_decoder\": {\"-1\": {\"content\": \"x\"}}}");
        refused(600, "has no id or no content");
        write("tokenizer.model", "nothing of the kind");
        refused(600, "tokenizer.model: ");
    }
}
