package io.talaria.backend.jni;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The structs of a C header, read from its text: plain fields of the few types that our headers use. */
record CHeader(Map<String, List<Field>> structs) {
    private static final Pattern STRUCT = Pattern.compile("typedef struct (\\w+) \\{(.*?)\\} \\1;", Pattern.DOTALL);
    private static final Pattern DECLARATION =
            Pattern.compile("(\\w+)\\s+(\\w+(?:\\[\\d+])?(?:\\s*,\\s*\\w+(?:\\[\\d+])?)*)");
    private static final Pattern NAME = Pattern.compile("(\\w+)(?:\\[(\\d+)])?");
    private static final Map<String, Integer> SIZES = Map.of(
            "char",
            1,
            "float",
            4,
            "int32_t",
            4,
            "uint32_t",
            4,
            "int64_t",
            8,
            "uint64_t",
            8,
            "talaria_tensor",
            8,
            "talaria_event",
            8);

    /** A field, its element count (1 unless it is an array) and its offset in bytes. */
    record Field(String type, String name, int count, int offset) {
        int bytes() {
            return count * SIZES.get(type);
        }

        String declaration() {
            return type + " " + name;
        }
    }

    static CHeader read(Path path) throws IOException {
        String text = Files.readString(path).replaceAll("//[^\n]*", "");
        Map<String, List<Field>> structs = new HashMap<>();
        Matcher struct = STRUCT.matcher(text);
        while (struct.find()) {
            structs.put(struct.group(1), fields(struct.group(1), struct.group(2)));
        }
        return new CHeader(structs);
    }

    private static List<Field> fields(String struct, String body) {
        List<Field> fields = new ArrayList<>();
        int offset = 0;
        for (String declaration : body.strip().split("\\s*;\\s*")) {
            Matcher matcher = DECLARATION.matcher(declaration);
            if (!matcher.matches() || !SIZES.containsKey(matcher.group(1))) {
                throw new AssertionError(struct + ": cannot read the declaration '" + declaration + "'");
            }
            Matcher names = NAME.matcher(matcher.group(2));
            while (names.find()) {
                int count = names.group(2) == null ? 1 : Integer.parseInt(names.group(2));
                Field field = new Field(matcher.group(1), names.group(1), count, offset);
                if (offset % SIZES.get(field.type()) != 0) {
                    throw new AssertionError(struct + ": the compiler would pad before " + field.name());
                }
                fields.add(field);
                offset += field.bytes();
            }
        }
        return fields;
    }

    List<Field> fields(String struct) {
        List<Field> fields = structs.get(struct);
        if (fields == null) {
            throw new AssertionError("the header has no struct " + struct);
        }
        return fields;
    }

    Field field(String struct, String name) {
        return fields(struct).stream()
                .filter(field -> field.name().equals(name))
                .findAny()
                .orElseThrow(() -> new AssertionError(struct + " has no field " + name));
    }

    int bytes(String struct) {
        List<Field> fields = fields(struct);
        int bytes = fields.get(fields.size() - 1).offset()
                + fields.get(fields.size() - 1).bytes();
        int alignment =
                fields.stream().mapToInt(field -> SIZES.get(field.type())).max().orElseThrow();
        if (bytes % alignment != 0) {
            throw new AssertionError(struct + ": the compiler would pad its end");
        }
        return bytes;
    }
}
