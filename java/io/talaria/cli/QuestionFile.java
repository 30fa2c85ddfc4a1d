package io.talaria.cli;

import io.talaria.chat.Message;
import io.talaria.chat.Role;
import io.talaria.eval.Question;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Questions in a file, one JSON object a line: {@code {"task": TEXT, "messages": [{"role": ROLE, "content": TEXT}, …],
 * "answer": TEXT}}.
 */
final class QuestionFile {
    private static final long MAX_BYTES = 64L << 20;
    private static final JsonMapper MAPPER = JsonMapper.builder().build();

    private QuestionFile() {}

    static List<Question> read(Path path) throws IOException {
        if (!Files.isRegularFile(path)) {
            throw new BadArgumentException("--questions " + path + ": there is no such file");
        }
        if (Files.size(path) > MAX_BYTES) {
            throw new BadArgumentException(
                    "--questions " + path + ": it has more than " + (MAX_BYTES >> 20) + " MiB; split it");
        }
        List<Question> questions = new ArrayList<>();
        int number = 0;
        for (String line : Files.readAllLines(path)) {
            number++;
            if (!line.isBlank()) {
                questions.add(question(path + ", line " + number, line));
            }
        }
        if (questions.isEmpty()) {
            throw new BadArgumentException("--questions " + path + ": there are no questions in it");
        }
        return questions;
    }

    private static Question question(String where, String line) {
        JsonNode object;
        try {
            object = MAPPER.readTree(line);
        } catch (JacksonException e) {
            throw new BadArgumentException(where + ": this is no JSON object: " + e.getOriginalMessage());
        }
        List<Message> messages = new ArrayList<>();
        for (JsonNode message : object.path("messages")) {
            messages.add(new Message(role(where, text(where, message, "role")), text(where, message, "content")));
        }
        if (messages.isEmpty()) {
            throw new BadArgumentException(where + ": \"messages\" must hold at least one message");
        }
        return new Question(text(where, object, "task"), messages, text(where, object, "answer"));
    }

    private static String text(String where, JsonNode object, String field) {
        JsonNode value = object.path(field);
        if (!value.isString()) {
            throw new BadArgumentException(where + ": \"" + field + "\" must be a text");
        }
        return value.stringValue();
    }

    private static Role role(String where, String name) {
        try {
            return Role.valueOf(name.toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException e) {
            throw new BadArgumentException(
                    where + ": there is no role \"" + name + "\"; write system, user, assistant or tool");
        }
    }
}
