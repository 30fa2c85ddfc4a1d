package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class ConvertCommandTest {
    @TempDir
    private Path folder;

    private void refused(int code, String sentence, String... args) {
        Captured result = Captured.run(args);
        assertEquals(code, result.code(), result.err());
        assertTrue(result.err().contains(sentence), result.err());
        assertEquals(1, result.err().lines().count(), result.err());
        assertEquals("", result.out());
    }

    @Test
    void aFolderBecomesAFile() {
        Path golden = TestData.golden("hf-nano");
        Path out = folder.resolve("x.gguf");
        Captured result = Captured.run("convert", golden.toString(), out.toString(), "--type", "q8_0", "--json");
        assertEquals(0, result.code(), result.err());
        JsonNode json = JsonMapper.builder().build().readTree(result.out());
        assertEquals(out.toFile().length(), json.get("file_bytes").asLong());
        assertEquals("Q8_0", json.get("type").asString());
        assertEquals(1, json.get("notes").size());
        assertTrue(result.err().contains("Note: the folder has no tokenizer.model"), result.err());
        assertEquals(0, Captured.run("info", out.toString()).code());
    }

    @Test
    void whatMakesNoSenseIsRefused() throws IOException {
        String out = folder.resolve("x.gguf").toString();
        refused(2, "--type Q9: write one of", "convert", folder.toString(), out, "--type", "Q9");
        refused(2, "--threads 0: write a number", "convert", folder.toString(), out, "--threads", "0");
        refused(2, "is a folder", "convert", folder.toString(), folder.toString());
        refused(3, "there is no config.json", "convert", folder.toString(), out);
        Path config = Files.writeString(folder.resolve("config.json"), "{");
        refused(3, "config.json: its JSON is invalid", "convert", folder.toString(), out);
        refused(3, "this is not a folder", "convert", config.toString(), out);
        assertFalse(Files.exists(Path.of(out)));
    }
}
