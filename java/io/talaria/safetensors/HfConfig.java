package io.talaria.safetensors;

import io.talaria.gguf.Printable;
import java.nio.file.Path;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.MissingNode;

/** The values of a config.json; a field that is null counts as absent. */
public final class HfConfig {
    private final Path path;
    private final JsonNode json;

    HfConfig(Path path, JsonNode json) {
        this.path = path;
        this.json = json;
    }

    /** True if the field is there and not null. */
    public boolean has(String... field) {
        return !node(field).isMissingNode();
    }

    /**
     * A whole number from 1 to 2^31 - 1.
     *
     * @throws SafetensorsException if it is absent or something else
     */
    public int count(String... field) throws SafetensorsException {
        JsonNode node = node(field);
        if (!node.isIntegralNumber() || !node.canConvertToInt() || node.asInt() < 1) {
            throw invalid(field, node.isMissingNode() ? "is missing" : "is not a count");
        }
        return node.asInt();
    }

    /**
     * A finite number.
     *
     * @throws SafetensorsException if it is absent or something else
     */
    public double number(String... field) throws SafetensorsException {
        JsonNode node = node(field);
        if (!node.isNumber() || !Double.isFinite(node.asDouble())) {
            throw invalid(field, node.isMissingNode() ? "is missing" : "is not a number");
        }
        return node.asDouble();
    }

    /** A text, if the field is there and a text. */
    public Optional<String> text(String... field) {
        JsonNode node = node(field);
        return node.isString() ? Optional.of(node.asString()) : Optional.empty();
    }

    /** A truth; {@code otherwise} if the field is absent or something else. */
    public boolean flag(String field, boolean otherwise) {
        JsonNode node = node(field);
        return node.isBoolean() ? node.asBoolean() : otherwise;
    }

    /** The first of several token ids, or the only one, if there is one. */
    public Optional<Integer> token(String field) {
        JsonNode node = node(field);
        JsonNode first = node.isArray() ? node.path(0) : node;
        return first.isIntegralNumber() && first.canConvertToInt() ? Optional.of(first.asInt()) : Optional.empty();
    }

    /** True if the list or text of this field has this text. */
    public boolean names(String field, String text) {
        JsonNode node = node(field);
        if (node.isArray()) {
            return node.valueStream()
                    .anyMatch(entry -> entry.isString() && entry.asString().equals(text));
        }
        return node.isString() && node.asString().equals(text);
    }

    /** The fault of a field that is missing or impossible; {@code problem} is half a sentence. */
    public SafetensorsException invalid(String[] field, String problem) {
        return fault(SafetensorsFault.CONFIG_INVALID, field, problem);
    }

    /** The fault of a field that asks for something that Talaria does not do; {@code problem} is half a sentence. */
    public SafetensorsException unsupported(String field, String problem) {
        return fault(SafetensorsFault.MODEL_UNSUPPORTED, new String[] {field}, problem);
    }

    private SafetensorsException fault(SafetensorsFault kind, String[] field, String problem) {
        return SafetensorsException.of(kind, path, Printable.name(String.join(".", field)) + " " + problem);
    }

    private JsonNode node(String... field) {
        JsonNode node = json;
        for (String name : field) {
            node = node.path(name);
        }
        return node.isNull() ? MissingNode.getInstance() : node;
    }
}
