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
    private static final int NUMBER_CHARACTERS = 64;

    private static final JsonMapper MAPPER = mapper();

    private JsonReader() {}

    private static JsonMapper mapper() {
        StreamReadConstraints constraints = StreamReadConstraints.builder()
                .maxDocumentLength(SafetensorsLimits.JSON_BYTES)
                .maxTokenCount(SafetensorsLimits.JSON_TOKENS)
                .maxNestingDepth(SafetensorsLimits.JSON_DEPTH)
                .maxNameLength(SafetensorsLimits.NAME_BYTES)
                .maxStringLength(SafetensorsLimits.JSON_BYTES)
                .maxNumberLength(NUMBER_CHARACTERS)
                .build();
        JsonFactory factory = JsonFactory.builder()
                .streamReadConstraints(constraints)
                .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                .build();
        return JsonMapper.builder(factory)
                .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                .build();
    }

    /** The object in a file. */
    static JsonNode read(Path path) throws IOException {
        try (InputFile file = InputFile.open(path)) {
            if (file.size() > SafetensorsLimits.JSON_BYTES) {
                throw SafetensorsException.of(
                        SafetensorsFault.JSON_TOO_LARGE,
                        path,
                        "it has more than " + SafetensorsLimits.JSON_BYTES + " bytes");
            }
            ByteBuffer bytes = ByteBuffer.allocate((int) file.size());
            file.fill(0, bytes);
            return parse(path, bytes.array());
        }
    }

    /** The object that these bytes of a file spell. */
    static JsonNode parse(Path path, byte[] bytes) throws SafetensorsException {
        JsonNode node;
        try {
            node = MAPPER.readTree(bytes);
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
