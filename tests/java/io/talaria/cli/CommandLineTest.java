package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GoldenModels;
import io.talaria.GoldenModels.Prompt;
import io.talaria.TestData;
import io.talaria.model.TinyModel;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The command line as scripts and other checks use it. */
class CommandLineTest {
    private static final String NANO = "nano-Q4_K_M.gguf";

    @TempDir
    private Path folder;

    /** What a command printed and returned. */
    private record Result(int code, String out, String err) {
        JsonNode json() {
            return JsonMapper.builder().build().readTree(out);
        }
    }

    private static Result run(String... args) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream capturedOut = new ByteArrayOutputStream();
        ByteArrayOutputStream capturedErr = new ByteArrayOutputStream();
        try {
            System.setOut(new PrintStream(capturedOut, true, StandardCharsets.UTF_8));
            System.setErr(new PrintStream(capturedErr, true, StandardCharsets.UTF_8));
            int code = Main.run(args);
            return new Result(
                    code, capturedOut.toString(StandardCharsets.UTF_8), capturedErr.toString(StandardCharsets.UTF_8));
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
    }

    private static Result done(String... args) {
        Result result = run(args);
        assertEquals(0, result.code(), result.err());
        return result;
    }

    private static String golden(String name) {
        return TestData.golden(name).toString();
    }

    private static String list(int[] tokens) {
        return Arrays.stream(tokens).mapToObj(Integer::toString).collect(Collectors.joining(","));
    }

    private float[][] logits(String... options) throws IOException {
        Prompt prompt = GoldenModels.prompts(NANO).getFirst();
        Path out = folder.resolve("logits.f32");
        String[] fixed = {"logits", golden(NANO), "--tokens", list(prompt.tokens()), "--out", out.toString(), "--json"};
        Result result = done(Stream.concat(Stream.of(fixed), Stream.of(options)).toArray(String[]::new));
        JsonNode json = result.json();
        float[][] rows = new float[json.get("rows").asInt()][json.get("columns").asInt()];
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(out)).order(ByteOrder.LITTLE_ENDIAN);
        for (float[] row : rows) {
            for (int i = 0; i < row.length; i++) {
                row[i] = bytes.getFloat();
            }
        }
        assertFalse(bytes.hasRemaining());
        boolean int8 = Arrays.asList(options).contains("int8");
        assertEquals(int8 ? 32 : 0, json.get("activation_block").asInt());
        return rows;
    }

    @Test
    void logitsAreTheGoldenOnes() throws IOException {
        Prompt prompt = GoldenModels.prompts(NANO).getFirst();
        Path company = folder.resolve("company.txt");
        Files.writeString(company, "1 5 9 13,17 \n");
        float[][] whole = logits("--device", "reference");
        assertTrue(GoldenModels.largest(prompt.errors(whole)) <= 1e-12);
        for (String chunk : new String[] {"1", "7", "100000"}) {
            float[][] rows = logits("--device", "reference", "--chunk", chunk, "--with", company.toString());
            assertTrue(GoldenModels.largest(prompt.errors(rows)) <= 1e-12);
        }
        float[][] half = logits("--device", "cpu", "--activations", "half", "--kv", "f16");
        assertTrue(GoldenModels.median(prompt.errors(half)) <= 1.5e-6);
        float[][] int8 = logits("--device", "cpu:0", "--activations", "int8", "--kv", "q8_0");
        assertTrue(GoldenModels.median(prompt.errors(int8)) > 1e-5, "int8 was not used");
    }

    @Test
    void infoHasTheFieldsThatOthersRelyOn() {
        JsonNode json = done("info", golden("nano-split-Q4_K_M.gguf"), "--json").json();
        assertEquals("llama", json.get("architecture").asString());
        assertEquals("split", json.get("expert_layout").asString());
        assertEquals(
                TestData.golden("nano-split-Q4_K_M.gguf").toFile().length(),
                json.get("file_bytes").asLong());
        for (String field : new String[] {"parameters", "active_parameters", "bytes_per_token"}) {
            assertTrue(json.get(field).asLong() > 100_000, field);
        }
        assertEquals(5, json.get("tensor_types").get("F32").asInt());
        assertEquals(
                "stacked",
                done("info", golden(NANO), "--json").json().get("expert_layout").asString());
        assertTrue(done("info", golden(NANO)).out().contains("expert layout"));
    }

    @Test
    void tokenizeKnowsItsFlags() {
        String text = "Hello<|im_end|>";
        int[] whole = tokens(done("tokenize", golden(NANO), text, "--json"));
        int[] plain = tokens(done("tokenize", golden(NANO), text, "--no-special", "--json"));
        int[] noBos = tokens(done("tokenize", golden(NANO), text, "--no-bos", "--json"));
        assertEquals(1, whole[0]);
        assertArrayEquals(Arrays.copyOfRange(whole, 1, whole.length), noBos);
        assertTrue(plain.length > whole.length, "the marker must be spelt out");
    }

    private static int[] tokens(Result result) {
        JsonNode array = result.json().get("tokens");
        int[] tokens = new int[array.size()];
        for (int i = 0; i < tokens.length; i++) {
            tokens[i] = array.get(i).asInt();
        }
        return tokens;
    }

    @ParameterizedTest
    @ValueSource(strings = {"devices", "doctor"})
    void devicesAreListed(String command) {
        JsonNode json = done(command, "--json").json();
        assertTrue(json.get("absent").isArray());
        for (JsonNode backend : json.get("absent")) {
            assertFalse(backend.get("backend").asString().isEmpty());
            assertFalse(backend.get("reason").asString().isEmpty());
        }
        boolean cpu = false;
        for (JsonNode device : json.get("devices")) {
            cpu |= device.get("device").asString().equals("cpu:0");
            assertTrue(device.get("memory_bytes").asLong()
                    >= device.get("free_bytes").asLong());
            assertTrue(device.get("free_bytes").asLong() > 0
                    && !device.get("name").asString().isEmpty());
        }
        assertTrue(cpu);
        assertTrue(done(command).out().contains("cpu:0"));
    }

    @Test
    void runAnswersOnEveryDeviceAlike() {
        String[] texts = new String[2];
        for (int i = 0; i < 2; i++) {
            String[] where = i == 0
                    ? new String[] {"--device", "reference"}
                    : new String[] {"--device", "cpu", "--activations", "half"};
            String[] fixed = {"run", golden(NANO), "-p", "Hello", "-n", "12", "--temp", "0", "--json"};
            JsonNode json = done(Stream.concat(Stream.of(fixed), Stream.of(where))
                            .toArray(String[]::new))
                    .json();
            texts[i] = json.get("text").asString();
            assertTrue(json.get("completion_tokens").asInt() <= 12);
            assertTrue(json.get("prompt_tokens").asInt() > 10);
            assertTrue(json.get("finish_reason").asString().matches("stop|length"));
            assertTrue(json.get("prefill_tokens_per_second").asDouble() > 0);
            assertTrue(json.get("decode_tokens_per_second").asDouble() > 0);
        }
        assertEquals(texts[0], texts[1]);
    }

    /** From the reference, whose text no other kernel changes. */
    private static JsonNode answer(String... options) {
        String[] fixed = {"run", golden(NANO), "-p", "Hello", "-n", "30", "--json", "--device", "reference"};
        return done(Stream.concat(Stream.of(fixed), Stream.of(options)).toArray(String[]::new))
                .json();
    }

    private static String text(String... options) {
        return answer(options).get("text").asString();
    }

    @Test
    void runSamplesAsItIsTold() {
        String greedy = text("--temp", "0");
        assertEquals(greedy, text("--top-k", "1"));
        assertEquals(greedy, text("--temperature", "3", "--top-p", "0"));
        assertEquals(greedy, text("--min-p", "1"));
        assertNotEquals(greedy, text("--temp", "0", "--presence-penalty", "50"));
        assertNotEquals(greedy, text("--temp", "0", "--frequency-penalty", "50"));
        assertNotEquals(greedy, text("--temp", "0", "--repeat-penalty", "50"));
        assertEquals(greedy, text("--temp", "0", "--repeat-penalty", "50", "--repeat-last-n", "0"));
        assertNotEquals(greedy, text("--temp", "0", "--system", "Be brief."));
        JsonNode seeded = answer("--seed", "9007199254740991", "--batch-invariant");
        assertEquals(9007199254740991L, seeded.get("seed").asLong());
        assertEquals(
                seeded.get("text"),
                answer("--seed", "9007199254740991", "--batch-invariant").get("text"));
        assertNotEquals(
                seeded.get("text"), answer("--seed", "7", "--batch-invariant").get("text"));
        JsonNode stopped = answer("--temp", "0", "--stop", "nowhere", "--stop", greedy.substring(4, 6));
        assertEquals(
                greedy.substring(0, greedy.indexOf(greedy.substring(4, 6))),
                stopped.get("text").asString());
        assertEquals("stop", stopped.get("finish_reason").asString());
    }

    @Test
    void runReadsItsPromptFromStandardInput() {
        InputStream in = System.in;
        try {
            System.setIn(new ByteArrayInputStream("Hello".getBytes(StandardCharsets.UTF_8)));
            String piped = done(
                            "run",
                            golden(NANO),
                            "-p",
                            "-",
                            "-n",
                            "30",
                            "--temp",
                            "0",
                            "--json",
                            "--device",
                            "reference")
                    .json()
                    .get("text")
                    .asString();
            assertEquals(text("--temp", "0"), piped);
        } finally {
            System.setIn(in);
        }
    }

    /** Wrong command lines: exit code, and what the sentence must say. */
    static Stream<Object[]> mistakes() {
        String nano = "NANO";
        String[] logits = {"logits", nano, "--out", "OUT", "--tokens"};
        return Stream.of(
                mistake(2, "Missing required", "logits", nano),
                mistake(2, "'x' is no token id", with(logits, "1,x")),
                mistake(2, "'512' is no token id", with(logits, "512")),
                mistake(2, "'-1' is no token id", with(logits, "1,-1")),
                mistake(2, "'' is no token id", with(logits, "1,,2")),
                mistake(2, "there are no token ids", with(logits, " ")),
                mistake(2, "--chunk 0", with(logits, "1", "--chunk", "0")),
                mistake(2, "--chunk", with(logits, "1", "--chunk", "many")),
                mistake(2, "--kv f8", with(logits, "1", "--kv", "f8")),
                mistake(2, "--activations fast", with(logits, "1", "--activations", "fast")),
                mistake(2, "for the reference alone", with(logits, "1", "--activations", "exact", "--device", "cpu")),
                mistake(
                        2,
                        "--activation-block 64",
                        with(logits, "1", "--activations", "int8", "--activation-block", "64")),
                mistake(2, "no such file", with(logits, "1", "--with", "/nowhere/at/all")),
                mistake(2, "there is no folder", "logits", nano, "--tokens", "1", "--out", "/nowhere/at/all"),
                mistake(2, "too few to divide", with(logits, "1", "--device", "cpu,cpu", "--split", "ffn")),
                mistake(4, "there is no backend 'vulkan'", with(logits, "1", "--device", "vulkan:0")),
                mistake(4, "there is no cpu:7", with(logits, "1", "--device", "cpu:7")),
                mistake(4, "is no device", with(logits, "1", "--device", "the fast one")),
                mistake(
                        4,
                        "rounds activations in blocks of 32",
                        with(logits, "1", "--device", "cpu", "--activations", "int8", "--activation-block", "256")),
                mistake(3, "there is no such file", "info", "/nowhere/at/all.gguf"),
                mistake(3, "FOLDER", "info", "FOLDER"),
                mistake(2, "cannot be fetched yet", "info", "hf:owner/repo:Q4_K_M"),
                mistake(2, "cannot be fetched yet", "run", "ollama:mixtral", "-p", "hi"),
                mistake(2, "-n 0: an answer has at least 1 token", "run", nano, "-p", "hi", "-n", "0"),
                mistake(2, "temperature -1", "run", nano, "-p", "hi", "--temp", "-1"),
                mistake(2, "top-k -1", "run", nano, "-p", "hi", "--top-k", "-1"),
                mistake(2, "top-p 1.5", "run", nano, "-p", "hi", "--top-p", "1.5"),
                mistake(2, "min-p -0.1", "run", nano, "-p", "hi", "--min-p", "-0.1"),
                mistake(2, "repeat penalty 0", "run", nano, "-p", "hi", "--repeat-penalty", "0"),
                mistake(2, "presence penalty 101", "run", nano, "-p", "hi", "--presence-penalty", "101"),
                mistake(2, "a stop string must not be empty", "run", nano, "-p", "hi", "--stop", ""),
                mistake(2, "--system goes with ChatML", "run", nano, "-p", "hi", "--raw", "--system", "x"),
                mistake(2, "--context 1", "run", nano, "-p", "hi", "--context", "1"),
                mistake(2, "the model was trained for", "run", nano, "-p", "hi", "--context", "1000000"),
                mistake(2, "use a larger context", "run", nano, "-p", "a long text", "--context", "8"),
                mistake(2, "Missing required", "run", nano),
                mistake(2, "--format Q3_K_M", "synthesize", "OUT", "--format", "Q3_K_M"),
                mistake(2, "--expert-layout odd", "synthesize", "OUT", "--expert-layout", "odd"),
                mistake(2, "ten numbers", "synthesize", "OUT", "--shape", "1,2,3"),
                mistake(2, "heads must be a multiple", "synthesize", "OUT", "--shape", "256,1,3,2,64,256,8,2,512,64"),
                mistake(2, "Q4_K blocks of 256", "synthesize", "OUT", "--shape", "128,1,2,2,64,256,8,2,512,64"),
                mistake(2, "layers must be", "synthesize", "OUT", "--shape", "nano", "--layers", "0"),
                mistake(2, "either a MODEL or --synthetic", "bench"),
                mistake(2, "SHAPE:FORMAT", "bench", "--synthetic", "nano"),
                mistake(2, "nothing to measure", "bench", nano, "-p", "0", "-n", "0"),
                mistake(2, "-r 0", "bench", nano, "-r", "0"),
                mistake(2, "40000 positions", "bench", nano, "-p", "0", "-n", "1", "-d", "39999"),
                mistake(4, "does not fit on cpu:0", "bench", "--synthetic", "mixtral-8x22b:F16"),
                mistake(2, "with itself shows nothing", "validate", "--device", "reference"),
                mistake(2, "--tokens 0", "validate", nano, "--tokens", "0"),
                mistake(2, "--activations fast", "validate", "--activations", "fast"),
                mistake(4, "there is no backend 'vulkan'", "validate", "--device", "vulkan:0"),
                mistake(4, "in blocks of 32", "validate", "--activations", "int8", "--activation-block", "256"),
                mistake(3, "there is no such file", "validate", "/nowhere/at/all.gguf"),
                mistake(2, "the name of the MODEL is empty", "info", ""),
                mistake(2, "--threads 0", "run", nano, "-p", "hi", "--threads", "0"),
                mistake(2, "--threads 9999", "run", nano, "-p", "hi", "--threads", "9999"),
                mistake(
                        2,
                        "experts, layers, ffn, tensor or auto",
                        "chat",
                        nano,
                        "--device",
                        "cpu,cpu",
                        "--split",
                        "rows"),
                mistake(2, "one device at a time", "validate", nano, "--device", "cpu,cpu"),
                mistake(4, "'' is no device", "chat", nano, "--device", "cpu,"),
                mistake(4, "'' is no device", "chat", nano, "--device", ""),
                mistake(3, "FOLDER", "chat", "FOLDER"),
                mistake(2, "-n 0", "chat", nano, "-n", "0"),
                mistake(2, "40001 positions", "bench", nano, "-p", "40000"),
                mistake(2, "4294967294 positions", "bench", nano, "-p", "2147483647", "-d", "2147483647"),
                mistake(2, "--layers goes with", "bench", nano, "--layers", "5"),
                mistake(2, "--threads -1", "bench", nano, "--threads", "-1"),
                mistake(2, "no-such", "no-such-command"),
                mistake(2, "--no-such", "info", nano, "--no-such"),
                mistake(2, "", new String[0]));
    }

    private static Object[] mistake(int code, String sentence, String... args) {
        return new Object[] {code, sentence, args};
    }

    private static String[] with(String[] first, String... rest) {
        return Stream.concat(Stream.of(first), Stream.of(rest)).toArray(String[]::new);
    }

    @ParameterizedTest
    @MethodSource("mistakes")
    void mistakesGetASentenceAndTheirCode(int code, String sentence, String[] args) throws IOException {
        Path out = folder.resolve("out.f32");
        String[] real = Stream.of(args)
                .map(arg -> switch (arg) {
                    case "NANO" -> golden(NANO);
                    case "OUT" -> out.toString();
                    case "FOLDER" -> folder.toString();
                    default -> arg;
                })
                .toArray(String[]::new);
        Result result = run(real);
        assertEquals(code, result.code(), result.err());
        String expected = sentence.equals("FOLDER") ? folder.toString() : sentence;
        assertTrue(result.err().contains(expected), result.err());
        assertFalse(result.err().contains("\tat ") || result.err().contains("Exception"), result.err());
        assertEquals("", result.out());
        try (Stream<Path> left = Files.list(folder)) {
            assertEquals(0, left.count(), "nothing may be half-written");
        }
    }

    @Test
    void benchPrintsSpeedBesideTheBandwidth() {
        JsonNode json = done("bench", "--synthetic", "nano:Q8_0", "-p", "40", "-n", "9", "-d", "5", "-r", "3", "--json")
                .json();
        assertEquals("cpu:0", json.get("device").asString());
        double bandwidth = json.get("read_bandwidth_gb_s").asDouble();
        assertTrue(bandwidth > 0.1);
        assertEquals("pp40 @ d5", json.get("tests").get(0).get("test").asString());
        assertEquals("tg9 @ d5", json.get("tests").get(1).get("test").asString());
        for (JsonNode test : json.get("tests")) {
            assertTrue(test.get("tokens_per_second").asDouble() > 0);
            double share = test.get("gb_s").asDouble() / bandwidth;
            assertEquals(share, test.get("bandwidth_fraction").asDouble(), 1e-9);
        }
        String csv = done("bench", "--synthetic", "nano:F16", "-p", "0", "-n", "3", "-r", "1", "--csv")
                .out();
        assertTrue(csv.startsWith("test,tokens_per_second,stddev,gb_s,bandwidth_fraction\ntg3,"), csv);
    }

    @Test
    void aModelCannotControlTheTerminal() {
        assertEquals("a\n\tb\ufffd[31m\ufffd\ufffdc", TerminalText.safe("a\n\tb\u001b[31m\r\u0000c"));
        assertEquals("Grüße 🚀", TerminalText.safe("Grüße 🚀"));
    }

    @Test
    void everyCommandHasHelp() {
        String overview = done("--help").out();
        for (String command : new String[] {
            "chat", "run", "info", "tokenize", "logits", "devices", "doctor", "synthesize", "bench", "validate"
        }) {
            assertTrue(overview.contains(command));
            assertTrue(done(command, "--help").out().contains("Usage: talaria " + command));
        }
        assertTrue(done("--version").out().startsWith("talaria "));
    }

    @Test
    void tooManyTokensForTheContextAreRefused() throws IOException {
        Path tiny = TinyModel.stacked().write(folder.resolve("tiny.gguf"));
        String tokens = "3,".repeat(64) + "3";
        Result result = run(
                "logits",
                tiny.toString(),
                "--tokens",
                tokens,
                "--out",
                folder.resolve("x").toString());
        assertEquals(2, result.code());
        assertTrue(result.err().contains("65 tokens are more than the model's context of 64"), result.err());
    }

    @Test
    void aTruncatedModelIsRefusedWithoutAStackTrace() throws IOException {
        byte[] whole = Files.readAllBytes(TestData.golden(NANO));
        Path cut = folder.resolve("cut.gguf");
        for (int length : new int[] {0, 3, 100, 20_000, whole.length - 1}) {
            Files.write(cut, Arrays.copyOf(whole, length));
            Result result = run("info", cut.toString());
            assertEquals(3, result.code(), result.err());
            assertTrue(result.err().contains("cut.gguf") && !result.err().contains("\tat "), result.err());
        }
    }

    /** A slip of the keyboard must not cost a model of 28 GB. */
    @Test
    void logitsDoNotReplaceWhatIsRead() throws IOException {
        Path model = Files.copy(Path.of(golden(NANO)), folder.resolve("model.gguf"));
        Path company = Files.writeString(folder.resolve("company.txt"), "1 2 3");
        byte[] before = Files.readAllBytes(model);
        Captured replaced = Captured.run("logits", model.toString(), "--tokens", "1", "--out", model.toString());
        assertEquals(2, replaced.code());
        assertTrue(replaced.err().contains("--out " + model + " would replace a file that is read"), replaced.err());
        assertArrayEquals(before, Files.readAllBytes(model));
        replaced = Captured.run(
                "logits", model.toString(), "--tokens", "1", "--with", company.toString(), "--out", company.toString());
        assertEquals(2, replaced.code());
        assertEquals("1 2 3", Files.readString(company));
    }
}
