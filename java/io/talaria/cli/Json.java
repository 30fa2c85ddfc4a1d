package io.talaria.cli;

import java.util.Map;
import tools.jackson.databind.ObjectMapper;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/** One JSON object on standard output. */
final class Json {
    private static final ObjectMapper MAPPER =
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

    private Json() {}

    static void print(Map<String, ?> object) {
        System.out.println(text(object));
    }

    static String text(Map<String, ?> object) {
        return MAPPER.writeValueAsString(object);
    }
}
