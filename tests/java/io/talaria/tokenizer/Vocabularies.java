package io.talaria.tokenizer;

import io.talaria.TestData;
import io.talaria.gguf.GgufFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.params.provider.Arguments;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The vocabularies and cases that the tests of this package and of the chat templates share. */
public final class Vocabularies {
    /** A text and its tokens by llama.cpp. */
    public record Case(String text, int[] ids, int[] idsNoSpecialParse, int[] idsNoBos) {}

    private Vocabularies() {}

    /** 512 tokens; the markers of ChatML are 510 and 511. */
    public static Tokenizer nano() throws IOException {
        return new Tokenizer(read(TestData.golden("nano-Q4_K_M.gguf")));
    }

    /** 32,000 tokens and the markers of ChatML as control tokens 32000 and 32001. */
    public static Tokenizer mistral() throws IOException {
        return new Tokenizer(
                with(read(TestData.vocab("llama-spm.gguf")), TokenType.CONTROL, "<|im_end|>", "<|im_start|>"));
    }

    static Vocabulary read(Path path) throws IOException {
        try (GgufFile file = GgufFile.open(path)) {
            return GgufVocabulary.read(file.metadata());
        }
    }

    /** The vocabulary with further tokens at the end. */
    static Vocabulary with(Vocabulary vocabulary, TokenType type, String... added) {
        int size = vocabulary.size();
        String[] pieces = new String[size + added.length];
        float[] scores = new float[pieces.length];
        int[] types = new int[pieces.length];
        for (int token = 0; token < size; token++) {
            pieces[token] = vocabulary.piece(token);
            scores[token] = vocabulary.score(token);
            types[token] = vocabulary.type(token).ordinal() + 1;
        }
        for (int i = 0; i < added.length; i++) {
            pieces[size + i] = added[i];
            scores[size + i] = -1000;
            types[size + i] = type.ordinal() + 1;
        }
        return new Vocabulary(
                pieces,
                scores,
                types,
                vocabulary.bos(),
                vocabulary.eos(),
                vocabulary.unknown(),
                vocabulary.addBos(),
                vocabulary.addEos(),
                vocabulary.addSpacePrefix());
    }

    /** A vocabulary of an unknown token, all bytes (tokens 1 to 256) and what is added. */
    static Vocabulary bytesOnly(boolean addSpacePrefix) {
        String[] pieces = new String[257];
        int[] types = new int[257];
        Arrays.fill(types, TokenType.BYTE.ordinal() + 1);
        pieces[0] = "<unk>";
        types[0] = TokenType.UNKNOWN.ordinal() + 1;
        for (int value = 0; value < 256; value++) {
            pieces[value + 1] = String.format("<0x%02X>", value);
        }
        return new Vocabulary(
                pieces, new float[257], types, Vocabulary.NONE, Vocabulary.NONE, 0, false, false, addSpacePrefix);
    }

    /** The cases for {@link #nano()} (index 0) or {@link #mistral()} (index 1). */
    public static List<Case> cases(int vocabulary) throws IOException {
        JsonNode cases = new JsonMapper()
                .readTree(TestData.golden("tokenizer-cases.json"))
                .get(vocabulary)
                .get("cases");
        List<Case> result = new ArrayList<>();
        for (JsonNode one : cases) {
            result.add(new Case(
                    one.get("text").stringValue(),
                    ids(one.get("ids")),
                    ids(one.get("ids_no_special_parse")),
                    ids(one.get("ids_no_bos"))));
        }
        return result;
    }

    /** Both real vocabularies with their cases. */
    static List<Arguments> both() throws IOException {
        return List.of(Arguments.of(nano(), cases(0)), Arguments.of(mistral(), cases(1)));
    }

    private static int[] ids(JsonNode array) {
        return IntStream.range(0, array.size())
                .map(i -> array.get(i).intValue())
                .toArray();
    }
}
