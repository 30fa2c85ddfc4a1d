package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.TestData;
import io.talaria.gguf.GgufFile;
import io.talaria.gguf.GgufTensor;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class BenchCommandTest {
    private static final String[] BRIEF = {"-p", "8", "-n", "2", "-r", "1"};

    @TempDir
    private Path folder;

    /** A copy of the small model with all bytes of some tensors overwritten. */
    private Path damaged(String tensors, int value) throws IOException {
        Path copy = Files.copy(TestData.golden("nano-Q4_K_M.gguf"), folder.resolve(tensors + value + ".gguf"));
        try (GgufFile file = GgufFile.open(copy);
                RandomAccessFile bytes = new RandomAccessFile(copy.toFile(), "rw")) {
            for (GgufTensor tensor : file.tensors()) {
                if (tensor.name().endsWith(tensors)) {
                    bytes.seek(tensor.position());
                    byte[] same = new byte[(int) tensor.bytes()];
                    Arrays.fill(same, (byte) value);
                    bytes.write(same);
                }
            }
        }
        return copy;
    }

    private static Captured bench(Path model) {
        String[] args = {"bench", model.toString(), BRIEF[0], BRIEF[1], BRIEF[2], BRIEF[3], BRIEF[4], BRIEF[5]};
        return Captured.run(args);
    }

    @Test
    void expertsThatAreUsedUnevenlyMakeSpeedsMeaningless() throws IOException {
        Captured even = bench(TestData.golden("nano-Q4_K_M.gguf"));
        assertEquals(0, even.code(), even.err());
        // All scores are equal, and the first two experts do all the work.
        Captured skewed = bench(damaged("ffn_gate_inp.weight", 0));
        assertEquals(1, skewed.code());
        assertTrue(skewed.err().contains("used unevenly (entropy 0.69 of 2.08)"), skewed.err());
        assertEquals("", skewed.out());
    }

    @Test
    void oneSkewedLayerOfTwoIsTooMuch() throws IOException {
        Captured skewed = bench(damaged("blk.1.ffn_gate_inp.weight", 0));
        assertEquals(1, skewed.code());
        assertTrue(skewed.err().contains("used unevenly"), skewed.err());
    }

    @Test
    void brokenNumbersAreNotMeasured() throws IOException {
        Captured broken = bench(damaged("output_norm.weight", 0xFF));
        assertEquals(1, broken.code());
        assertTrue(broken.err().contains("NaN"), broken.err());
        assertEquals("", broken.out());
    }

    @Test
    void everySpeedIsBesideTheBandwidth() {
        String[] args = {"bench", "--synthetic", "nano:Q8_0", "-p", "8", "-n", "2", "-r", "1"};
        List<String> text = Captured.run(args).out().lines().toList();
        assertTrue(text.get(0).matches("cpu:0 .* reads \\S+ GB/s; nominal: .*"), text.get(0));
        assertTrue(text.get(1).matches("pp8 .* tokens/s .* GB/s, +\\d+ % of the bandwidth"), text.get(1));
        assertTrue(text.get(2).matches("tg2 .* tokens/s .* GB/s, +\\d+ % of the bandwidth"), text.get(2));
        assertTrue(text.get(3).matches("experts used, % ( \\d+\\.\\d){8}"), text.get(3));
        JsonNode json = JsonMapper.builder()
                .build()
                .readTree(Captured.run(add(args, "--json")).out());
        assertEquals(8, json.get("expert_shares").size());
        double sum = 0;
        for (JsonNode share : json.get("expert_shares")) {
            sum += share.asDouble();
        }
        assertEquals(1, sum, 1e-9);
        assertTrue(json.has("nominal_bandwidth_gb_s"));
    }

    private static JsonNode json(String... args) {
        Captured result = Captured.run(add(args, "--json"));
        assertEquals(0, result.code(), result.err());
        return JsonMapper.builder().build().readTree(result.out());
    }

    @Test
    void everyVerbIsTimed() {
        JsonNode json =
                json("bench", "--synthetic", "nano:Q4_K_M", "-p", "0", "-n", "2", "-r", "1", "-d", "40", "--ops");
        List<String> names = new ArrayList<>();
        long bytes = 0;
        for (JsonNode op : json.get("ops")) {
            names.add(op.get("op").asString());
            bytes += op.get("bytes").asLong();
            assertTrue(op.get("microseconds").asDouble() > 0, op.toString());
            boolean reads = op.get("bytes").asLong() > 0;
            assertEquals(reads, op.get("gb_s").isNumber(), op.toString());
            assertEquals(reads, op.get("bandwidth_fraction").isNumber(), op.toString());
        }
        assertEquals(
                List.of(
                        "embed",
                        "attentionInput",
                        "attention",
                        "attentionOutput",
                        "route",
                        "experts",
                        "addSlots",
                        "topLogits"),
                names);
        assertTrue(json.get("token_microseconds").asDouble() > 0);
        JsonNode info = json("info", TestData.golden("nano-Q4_K_M.gguf").toString()); // the same shape and recipe
        long cache = 41 * info.get("kv_bytes_per_token").asLong();
        assertEquals(info.get("bytes_per_token").asLong() + cache, bytes);
    }

    @Test
    void verbsInEveryFormat() {
        String[] args = {"bench", "--synthetic", "nano:F16", "-p", "0", "-n", "1", "-r", "1", "--ops"};
        assertTrue(Captured.run(args).out().contains("\nexperts   "));
        String csv = Captured.run(add(args, "--csv")).out();
        assertTrue(csv.contains("\n\nop,microseconds,gb_s,bandwidth_fraction\nembed,"), csv);
        assertTrue(csv.matches("(?s).*\naddSlots,[0-9.]+,,\n.*"), csv);
        String markdown = Captured.run(add(args, "--md")).out();
        assertTrue(markdown.matches("(?s).*\n\\| addSlots \\| [0-9.]+ \\| \\| \\|\n.*"), markdown);
    }

    @Test
    void thePictureStandsAlone() throws Exception {
        Path svg = folder.resolve("verbs.svg");
        String[] args = {"bench", "--synthetic", "nano:Q8_0", "-p", "0", "-n", "1", "-r", "1", "--svg", svg.toString()};
        assertEquals(0, Captured.run(args).code());
        String text = Files.readString(svg);
        DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(svg.toFile()); // throws if it is not well-formed
        assertTrue(text.contains(">experts</text>") && text.contains("measured bandwidth: "), text);
        assertFalse(text.replace("http://www.w3.org/2000/svg", "").contains("http"), "it refers to something else");
        Captured refused = Captured.run("bench", "--synthetic", "nano:Q8_0", "--svg", folder.toString());
        assertEquals(2, refused.code());
        assertTrue(refused.err().contains("is a folder"), refused.err());
    }

    /** Prompts go through two devices in pieces; whose routing is looked at all the same. */
    @ParameterizedTest
    @ValueSource(strings = {"layers", "ffn", "tensor", "experts"})
    void severalDevicesAreMeasured(String split) {
        JsonNode report = json(
                "bench",
                "--synthetic",
                "nano:Q8_0",
                "--device",
                "cpu,cpu",
                "--split",
                split,
                "-p",
                "300",
                "-n",
                "2",
                "-r",
                "1");
        assertEquals(2, report.get("tests").size());
        for (JsonNode test : report.get("tests")) {
            assertTrue(test.get("tokens_per_second").asDouble() > 0, report::toString);
        }
    }

    @Test
    void aDeviceWithoutABandwidthIsMeasuredAllTheSame() {
        JsonNode json = json(
                "bench", "--synthetic", "nano:F16", "-p", "2", "-n", "1", "-r", "1", "--device", "reference", "--ops");
        assertTrue(json.get("read_bandwidth_gb_s").isNull());
        assertTrue(json.get("tests").get(0).get("bandwidth_fraction").isNull());
        assertTrue(json.get("tests").get(0).get("gb_s").asDouble() > 0);
    }

    @Test
    void whatDoesNotFitIsRefusedBeforeItIsLoaded() {
        Captured refused = Captured.run("bench", "--synthetic", "mixtral-8x22b:BF16", "-p", "0", "-n", "1");
        assertEquals(4, refused.code());
        assertTrue(
                refused.err()
                        .matches(
                                "talaria: mixtral-8x22b:BF16 does not fit on cpu:0: it takes 28\\d.* GB \\(weights 281.*\n"),
                refused.err());
        assertEquals("", refused.out());
    }

    @Test
    void syntheticModelsAreNamedInFull() {
        for (String name : List.of("nano", "nano:Q9", "tiny:Q8_0", "nano:Q8_0:x")) {
            Captured refused = Captured.run("bench", "--synthetic", name);
            assertEquals(2, refused.code(), name);
            assertTrue(refused.err().contains("write SHAPE:FORMAT"), refused.err());
        }
        assertEquals(
                2, Captured.run("bench", "x.gguf", "--synthetic", "nano:Q8_0").code());
        assertEquals(2, Captured.run("bench", "x.gguf", "--layers", "1").code());
    }

    private static String[] add(String[] args, String last) {
        String[] longer = Arrays.copyOf(args, args.length + 1);
        longer[args.length] = last;
        return longer;
    }

    @Test
    void oneFormatAtATime() {
        Captured result = Captured.run("bench", "--synthetic", "nano:Q8_0", "--csv", "--md");
        assertEquals(2, result.code());
        assertTrue(result.err().contains("write one of them"), result.err());
        assertFalse(result.err().contains("Exception"));
    }
}
