package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The small model that comes with Talaria says what it was trained to say. */
class ShippedModelTest {
    private static JsonNode json(String... args) {
        Captured result = Captured.run(args);
        assertEquals(0, result.code(), result.err());
        return JsonMapper.builder().build().readTree(result.out());
    }

    private static String say(String prompt, String... options) {
        String[] args = new String[5 + options.length];
        System.arraycopy(new String[] {"run", "-p", prompt, "-n", "60"}, 0, args, 0, 5);
        System.arraycopy(options, 0, args, 5, options.length);
        Captured result = Captured.run(args);
        assertEquals(0, result.code(), result.err());
        return result.out().strip();
    }

    @Test
    void answersAsTheReadmeSays() {
        String working = "7+5=12, 1+2+1=4: 42";
        assertEquals(working, say("What is 17 + 25?", "--temp", "0"));
        for (int seed = 1; seed <= 5; seed++) { // as it is sampled unless told otherwise
            assertEquals(working, say("What is 17 + 25?", "--seed", Integer.toString(seed)));
        }
        assertEquals("h0 e1 r1 m1 e2 s2: 2", say("How often does \"e\" occur in \"hermes\"?", "--temp", "0"));
        assertEquals("Hello! What can I do for you?", say("Hello", "--temp", "0"));
        assertEquals("The capital of France is Paris.", say("What is the capital of France?", "--temp", "0"));
        assertEquals("Hello.", say("Hello", "--temp", "0", "--system", "Be brief."));
        assertEquals(
                "With pleasure: the capital of France is Paris.",
                say("What is the capital of France?", "--temp", "0", "--system", "Be polite."));
    }

    /** Questions that it was not trained on. */
    @Test
    void answersHeldOutQuestions() {
        JsonNode report = json("eval", "accuracy", "--device", "cpu", "--json");
        assertTrue(report.get("questions").asInt() > 2000, report::toString);
        assertTrue(report.get("accuracy").asDouble() >= 0.95, report::toString);
        for (JsonNode task : report.get("tasks")) {
            assertTrue(task.get("accuracy").asDouble() >= 0.85, task::toString);
        }
    }

    /** Answers part from those of the reference only where it is undecided itself. */
    @Test
    void answersAsOnTheReference() {
        JsonNode report =
                json("eval", "accuracy", "--limit", "3", "--device", "cpu", "--against", "reference", "--json");
        JsonNode against = report.get("against");
        assertEquals(0, against.get("different").asInt(), report::toString);
        int asked = report.get("questions").asInt();
        assertEquals(
                asked, against.get("same").asInt() + against.get("near_ties").asInt());
        assertTrue(against.get("accuracy").asDouble() >= 0.85, report::toString);
    }

    @Test
    void usesAllOfItsExperts(@TempDir Path folder) throws Exception {
        Path csv = folder.resolve("experts.csv");
        Path svg = folder.resolve("experts.svg");
        JsonNode report = json("experts", "profile", "--csv", csv.toString(), "--svg", svg.toString(), "--json");
        assertTrue(report.get("least_share").asDouble() >= 0.04, report::toString);
        assertEquals(3, report.get("shares").size());
        assertEquals(8, report.get("shares").get(0).size());
        assertEquals(1 + 3 * 8, Files.readAllLines(csv).size());
        assertTrue(Files.readString(svg).startsWith("<svg"));
    }

    @Test
    void wrongArgumentsGetASentence(@TempDir Path folder) throws Exception {
        Path broken = Files.writeString(folder.resolve("broken.jsonl"), "{\"task\": \"a\", \"messages\": []}\n");
        assertSentence("at least one message", "eval", "accuracy", "--questions", broken.toString());
        Files.writeString(broken, "no JSON\n");
        assertSentence("line 1: this is no JSON", "eval", "accuracy", "--questions", broken.toString());
        Files.writeString(
                broken, "{\"task\":\"a\",\"messages\":[{\"role\":\"king\",\"content\":\"x\"}],\"answer\":\"y\"}");
        assertSentence("no role \"king\"", "eval", "accuracy", "--questions", broken.toString());
        Files.writeString(broken, "{\"task\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":1}],\"answer\":\"y\"}");
        assertSentence("\"content\" must be a text", "eval", "accuracy", "--questions", broken.toString());
        Files.writeString(broken, "\n");
        assertSentence("no questions in it", "eval", "accuracy", "--questions", broken.toString());
        assertSentence("--limit 0", "eval", "accuracy", "--limit", "0");
        assertSentence("name a file of questions", "eval", "accuracy", "some.gguf");
        assertSentence("name a file of prompts", "experts", "profile", "some.gguf");
        assertSentence(
                "there are no prompts",
                "experts",
                "profile",
                "--prompts",
                emptyFile(folder).toString());
        assertSentence(
                "no folder",
                "experts",
                "profile",
                "--svg",
                folder.resolve("a/b.svg").toString());
    }

    private static Path emptyFile(Path folder) throws Exception {
        return Files.writeString(folder.resolve("empty.txt"), "");
    }

    private static void assertSentence(String wanted, String... args) {
        Captured result = Captured.run(args);
        assertEquals(ExitCode.BAD_ARGUMENTS, result.code(), result.err());
        assertTrue(result.err().contains(wanted), result.err());
        assertEquals("", result.out());
    }
}
