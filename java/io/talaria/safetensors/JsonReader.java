package io.talaria.safetensors;

import io.talaria.gguf.Printable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Reads JSON that may be hostile: every name once, and no more of anything than the limits say. */
final class JsonReader {
    private static final JsonReader SMALL = new JsonReader(SafetensorsLimits.JSON_BYTES, SafetensorsLimits.JSON_TOKENS);
    private static final JsonReader TOKENIZER =
            new JsonReader(SafetensorsLimits.TOKENIZER_BYTES, SafetensorsLimits.TOKENIZER_TOKENS);
    private static final int NUMBER_CHARACTERS = 64;

    private final int maximumBytes;
    private final JsonMapper mapper;

    private JsonReader(int maximumBytes, int maximumTokens) {
        this.maximumBytes = maximumBytes;
        StreamReadConstraints constraints = StreamReadConstraints.builder()
                .maxDocumentLength(maximumBytes)
                .maxTokenCount(maximumTokens)
                .maxNestingDepth(SafetensorsLimits.JSON_DEPTH)
                .maxNameLength(SafetensorsLimits.NAME_BYTES)
                .maxStringLength(maximumBytes)
                .maxNumberLength(NUMBER_CHARACTERS)
                .build();
        JsonFactory factory = JsonFactory.builder()
                .streamReadConstraints(constraints)
                .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                .build();
        this.mapper = JsonMapper.builder(factory)
                .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                .build();
    }

    /** The object in a small file. */
    static JsonNode read(Path path) throws IOException {
        return SMALL.readFile(path);
    }

    /** The object in a tokenizer.json. */
    static JsonNode readTokenizer(Path path) throws IOException {
        return TOKENIZER.readFile(path);
    }

    /** The object that these bytes of a file spell. */
    static JsonNode parse(Path path, byte[] bytes) throws SafetensorsException {
        return SMALL.object(path, bytes);
    }

    private JsonNode readFile(Path path) throws IOException {
        try (InputFile file = InputFile.open(path)) {
            long size = file.size();
            if (size > maximumBytes) {
                throw SafetensorsException.of(
                        SafetensorsFault.JSON_TOO_LARGE, path, "it has more than " + maximumBytes + " bytes");
            }
            ByteBuffer bytes = ByteBuffer.allocate((int) size);
            file.fill(0, bytes);
            return object(path, bytes.array());
        }
    }

    private JsonNode object(Path path, byte[] bytes) throws SafetensorsException {
        JsonNode node;
        try {
            node = mapper.readTree(bytes);
        } catch (JacksonException e) {
            throw SafetensorsException.of(
                    SafetensorsFault.JSON_INVALID,
                    path,
                    "its JSON is invalid: " + Printable.name(e.getOriginalMessage()),
                    e);
        }
        if (!node.isObject()) {
            throw SafetensorsException.of(SafetensorsFault.JSON_TYPE, path, "its JSON is not an object");
        }
        return node;
    }
}
