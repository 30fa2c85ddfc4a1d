package io.talaria.gguf;

import java.util.function.Consumer;

/**
 * A malformed file and its valid twin, both made from {@link GgufBuilder#small()}.
 *
 * @param id names the entry
 * @param fault what the reader must report
 * @param fragment what the sentence must contain
 * @param broken makes the malformed file
 * @param repaired makes the file with only that fault repaired
 */
record Malformed(
        String id, GgufFault fault, String fragment, Consumer<GgufBuilder> broken, Consumer<GgufBuilder> repaired) {

    /** An entry whose twin is the small file itself. */
    Malformed(String id, GgufFault fault, String fragment, Consumer<GgufBuilder> broken) {
        this(id, fault, fragment, broken, builder -> {});
    }

    byte[] brokenBytes() {
        return bytes(broken);
    }

    byte[] repairedBytes() {
        return bytes(repaired);
    }

    private static byte[] bytes(Consumer<GgufBuilder> change) {
        GgufBuilder builder = GgufBuilder.small();
        change.accept(builder);
        return builder.build();
    }
}
