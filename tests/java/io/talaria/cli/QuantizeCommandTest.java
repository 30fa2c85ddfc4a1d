package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class QuantizeCommandTest {
    @TempDir
    private Path folder;

    private String in;
    private Path out;

    @BeforeEach
    void paths() {
        in = TestData.golden("nano-Q4_K_M.gguf").toString();
        out = folder.resolve("x.gguf");
    }

    private void refused(int code, String sentence, String... args) {
        Captured result = Captured.run(args);
        assertEquals(code, result.code(), result.err());
        assertTrue(result.err().contains(sentence), result.err());
        assertEquals(1, result.err().lines().count(), result.err());
        assertEquals("", result.out());
    }

    @Test
    void theReportHasSizesAndErrors() {
        Captured result =
                Captured.run("quantize", in, out.toString(), "--type", "q4_k", "--threads", "2", "--json", "--errors");
        assertEquals(0, result.code(), result.err());
        assertFalse(result.err().contains("Note"), result.err()); // everything has its type already
        JsonNode json = JsonMapper.builder().build().readTree(result.out());
        assertEquals("Q4_K_M", json.get("type").asString());
        assertEquals(out.toFile().length(), json.get("file_bytes").asLong());
        assertEquals(Path.of(in).toFile().length(), json.get("input_bytes").asLong());
        double bits =
                8.0 * json.get("weight_bytes").asLong() / json.get("parameters").asLong();
        assertEquals(bits, json.get("bits_per_weight").asDouble());
        assertEquals(23, json.get("tensors").size());
        assertEquals(0, json.get("tensors").get(0).get("nmse").asDouble());
    }

    @Test
    void tablesAreForPeople() {
        Captured result = Captured.run(
                "quantize", in, out.toString(), "--type", "Q8_0", "--tensor-type", "ffn_down=Q6_K", "--errors");
        assertEquals(0, result.code(), result.err());
        assertTrue(result.out().matches("(?s).*blk\\.0\\.ffn_down_exps\\.weight +Q[46]_K +Q6_K.*"), result.out());
        assertTrue(result.out().contains(" bits per weight; before 2.4"), result.out());
        assertTrue(result.err().contains("rounded twice"), result.err());
    }

    @Test
    void whatMakesNoSenseIsRefused() throws IOException {
        String to = out.toString();
        refused(2, "--type Q9: write one of Q4_K_M", "quantize", in, to, "--type", "Q9");
        refused(2, "no regular expression", "quantize", in, to, "--tensor-type", "(=Q8_0");
        refused(2, "write PATTERN=TYPE", "quantize", in, to, "--tensor-type", "ffn_down");
        refused(2, "write PATTERN=TYPE", "quantize", in, to, "--tensor-type", "ffn_down=Q2_K");
        refused(2, "'nothing' in its name", "quantize", in, to, "--tensor-type", "nothing=Q8_0");
        refused(2, "are not one tensor each", "quantize", in, to, "--stack-experts");
        refused(2, "--threads -1", "quantize", in, to, "--threads", "-1");
        refused(
                3,
                "there is no such file",
                "quantize",
                folder.resolve("none.gguf").toString(),
                to);
        assertFalse(Files.exists(out));
        Files.copy(Path.of(in), out);
        refused(2, "would replace a file that is read", "quantize", to, to);
        assertEquals(-1, Files.mismatch(Path.of(in), out));
    }
}
