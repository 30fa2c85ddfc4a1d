package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.TestData;
import io.talaria.validate.Check;
import io.talaria.validate.Check.Outcome;
import io.talaria.validate.Report;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.function.IntSupplier;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What {@code validate} prints and returns. That its checks find faults is shown where they are made. */
class ValidateCommandTest {
    /** What a command printed and returned. */
    private record Result(int code, String out) {
        JsonNode json() {
            return JsonMapper.builder().build().readTree(out);
        }
    }

    private static Result capture(IntSupplier command) {
        PrintStream out = System.out;
        ByteArrayOutputStream captured = new ByteArrayOutputStream();
        try {
            System.setOut(new PrintStream(captured, true, StandardCharsets.UTF_8));
            int code = command.getAsInt();
            return new Result(code, captured.toString(StandardCharsets.UTF_8));
        } finally {
            System.setOut(out);
        }
    }

    @Test
    void aModelOnTheCpuPasses() {
        String model = TestData.golden("nano-split-Q4_K_M.gguf").toString();
        Result result = capture(() -> Main.run("validate", model, "--device", "cpu", "--tokens", "3", "--json"));
        assertEquals(0, result.code());
        JsonNode json = result.json();
        assertEquals("cpu:0", json.get("device").asString());
        assertEquals(0, json.get("failed").asInt());
        assertEquals(0, json.get("unsupported").asInt());
        assertEquals(json.get("passed").asInt(), json.get("cases").size());
        boolean ops = false;
        boolean layers = false;
        for (JsonNode entry : json.get("cases")) {
            assertTrue(entry.get("ok").asBoolean());
            assertTrue(entry.get("nmse").asDouble() <= entry.get("bound").asDouble());
            ops |= entry.get("name").asString().startsWith("experts Q5_K int8, 33 rows");
            layers |= entry.get("name").asString().startsWith("blk.1 experts half, 3 tokens");
        }
        assertTrue(ops && layers);
    }

    @Test
    void aMadeUpModelAlone() {
        Result result = capture(
                () -> Main.run("validate", "--synthetic", "nano:Q3_K_M", "--model-only", "--device", "cpu", "--json"));
        assertEquals(2, result.code(), "there is no such format");
        result = capture(() -> Main.run(
                "validate", "--synthetic", "nano:BF16", "--layers", "1", "--model-only", "--device", "cpu", "--json"));
        assertEquals(0, result.code());
        for (JsonNode entry : result.json().get("cases")) {
            String name = entry.get("name").asString();
            assertTrue(name.startsWith("blk.0 ") || name.startsWith("embed ") || name.startsWith("topLogits "), name);
            assertTrue(name.contains(", 4 tokens") || name.contains(", 1 token at 4"), name);
        }
        assertEquals(2, capture(() -> Main.run("validate", "--model-only")).code());
    }

    @Test
    void oneModeAlone() {
        Result result = capture(() -> Main.run("validate", "--activations", "half", "--json"));
        assertEquals(0, result.code());
        for (JsonNode entry : result.json().get("cases")) {
            assertTrue(entry.get("name").asString().contains(" half, "), entry.toString());
        }
    }

    private static Report report() {
        Report report = new Report();
        report.add(new Check("embed", "embed, half", "embed half: x", 1e-9, 1e-7, Outcome.PASSED, "", 2));
        report.add(new Check(
                "route",
                "route, half",
                "route half: pairs",
                Double.POSITIVE_INFINITY,
                1e-7,
                Outcome.FAILED,
                "row 0, expert 1 is 3, expected 2",
                0));
        report.add(new Check(
                "route",
                "route, half",
                "route F16",
                Double.POSITIVE_INFINITY,
                0,
                Outcome.UNSUPPORTED,
                "no F16 here",
                0));
        return report;
    }

    @Test
    void aFailureIsExplainedAndReturned() {
        Result result = capture(() -> ValidateCommand.finish("gpu:0", report(), false));
        assertEquals(1, result.code());
        assertTrue(result.out().contains("gpu:0: 1 passed, 1 failed, 1 unsupported, 2 near ties\n"), result.out());
        assertTrue(
                result.out().contains("First failure: route half: pairs: row 0, expert 1 is 3, expected 2\n"),
                result.out());
        assertTrue(result.out().contains("First unsupported: route F16: no F16 here\n"), result.out());
    }

    @Test
    void aFailureIsInTheJson() {
        Result result = capture(() -> ValidateCommand.finish("gpu:0", report(), true));
        assertEquals(1, result.code());
        JsonNode json = result.json();
        assertEquals(1, json.get("passed").asInt());
        assertEquals(1, json.get("failed").asInt());
        assertEquals(1, json.get("unsupported").asInt());
        JsonNode failed = json.get("cases").get(1);
        assertFalse(failed.get("ok").asBoolean());
        assertTrue(failed.get("nmse").isNull(), "JSON has no infinity");
        assertEquals(1e-7, failed.get("bound").asDouble());
        assertEquals("unsupported", json.get("cases").get(2).get("outcome").asString());
    }
}
