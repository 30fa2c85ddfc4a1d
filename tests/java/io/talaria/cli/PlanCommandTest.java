package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GoldenModels;
import io.talaria.TestData;
import io.talaria.placement.GpuCatalogue;
import io.talaria.placement.GpuCatalogue.Gpu;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What {@code plan} says, and placements as files. */
class PlanCommandTest {
    private static final String MIXTRAL = "mixtral-8x7b:Q4_K_M";

    @TempDir
    private Path folder;

    private static Captured plan(String shape, String... rest) {
        List<String> args = new ArrayList<>(List.of("plan", "--shape", shape));
        args.addAll(List.of(rest));
        return Captured.run(args.toArray(String[]::new));
    }

    private static JsonNode json(int code, String shape, String... rest) {
        List<String> args = new ArrayList<>(List.of(rest));
        args.add("--json");
        Captured printed = plan(shape, args.toArray(String[]::new));
        assertEquals(code, printed.code(), printed.err());
        return JsonMapper.builder().build().readTree(printed.out());
    }

    private static long sum(JsonNode devices, String field) {
        long sum = 0;
        for (JsonNode device : devices) {
            sum += device.get(field).asLong();
        }
        return sum;
    }

    /** Weights as an independent count has them; the cache is 128 KiB a token in F16 and 68 KiB in Q8_0. */
    @ParameterizedTest
    @CsvSource({
        "Q4_K_M, f16, 4096, 1, 28446965760, 536870912",
        "Q4_K_M, q8_0, 32768, 1, 28446965760, 2281701376",
        "Q8_0, f16, 4096, 3, 49625665536, 1610612736",
        "F16, f16, 32768, 1, 93405585408, 4294967296"
    })
    void bytesOfTheModelOfThePage(String format, String kv, int context, int slots, long weights, long cache) {
        String[] args = {"--gpu", "H200", "--kv", kv, "-c", "" + context, "--slots", "" + slots};
        JsonNode device = json(0, "mixtral-8x7b:" + format, args).get("devices").get(0);
        assertEquals(weights, device.get("weights_bytes").asLong(), weights / 1000.0);
        assertEquals(cache, device.get("kv_bytes").asLong());
        assertTrue(device.get("scratch_bytes").asLong() > 0);
    }

    @Test
    void aPlanNamesWhatOthersRelyOn() {
        JsonNode plan = json(0, MIXTRAL, "--gpu", "RTX 5090", "--context", "32768");
        assertTrue(plan.get("fits").asBoolean());
        assertEquals(32768, plan.get("largest_context").asInt());
        assertEquals(227, plan.get("ceiling_tokens_per_second").asDouble(), 1); // 1792 GB/s over 7.9 GB
        JsonNode device = plan.get("devices").get(0);
        assertEquals("NVIDIA RTX 5090", device.get("name").asString());
        assertTrue(device.get("free_bytes").asLong() < 32L << 30);
    }

    /** The fix that is named is one. */
    @ParameterizedTest
    @ValueSource(strings = {"AMD Radeon PRO V710", "NVIDIA Jetson AGX Orin 32 GB"})
    void theFixHelps(String gpu) {
        JsonNode refused = json(1, MIXTRAL, "--gpu", gpu, "-c", "32768");
        assertFalse(refused.get("fits").asBoolean());
        String fix = refused.get("fix").asString();
        assertTrue(fix.contains("a context of "), fix);
        String context = fix.substring(fix.lastIndexOf(' ') + 1);
        String kv = fix.contains("--kv q8_0") ? "q8_0" : "f16";
        assertTrue(json(0, MIXTRAL, "--gpu", gpu, "-c", context, "--kv", kv)
                .get("fits")
                .asBoolean());
        int longer = Integer.parseInt(context) + 32;
        json(1, MIXTRAL, "--gpu", gpu, "-c", "" + longer, "--kv", kv);
    }

    @Test
    void whatNeverFitsSaysHowMuchIsMissing() {
        Captured refused = plan(MIXTRAL, "--gpu", "Apple M1 Max (32GB)");
        assertEquals(1, refused.code());
        assertTrue(
                refused.out().matches("(?s).*It does not fit: .* GB too many; use a smaller format.*"), refused.out());
    }

    /** Uneven cards take uneven parts, each within its memory. */
    @ParameterizedTest
    @CsvSource({"experts", "layers"})
    void unevenCardsShare(String split) {
        JsonNode plan = json(0, MIXTRAL, "--gpu", "RTX 4090,RTX 3060", "--split", split);
        JsonNode devices = plan.get("devices");
        assertEquals(256, sum(devices, "experts"));
        assertEquals(32, sum(devices, "layers"));
        assertTrue(devices.get(1).get("experts").asInt() > 30, devices.toString());
        assertTrue(devices.get(0).get("experts").asInt()
                > devices.get(1).get("experts").asInt());
        for (JsonNode device : devices) {
            long taken = device.get("weights_bytes").asLong()
                    + device.get("kv_bytes").asLong()
                    + device.get("scratch_bytes").asLong()
                    + device.get("overhead_bytes").asLong();
            assertTrue(taken <= device.get("free_bytes").asLong(), device.toString());
        }
        assertEquals(
                split.equals("experts") ? 0 : 8, devices.get(1).get("layers").asInt(), 3);
    }

    /**
     * What is read at the same time is parted by bandwidth: 1790 and 1230 GB/s are 59.3 and 40.7 %, in pieces of 256 columns;
     * of eight KV heads five and three. The cache goes with the heads.
     */
    @ParameterizedTest
    @CsvSource({"ffn", "tensor"})
    void dividedExpertsAreSharedByBandwidth(String split) {
        JsonNode devices = json(0, MIXTRAL, "--gpu", "NVIDIA RTX 5090,MI100", "--split", split)
                .get("devices");
        double columns = devices.get(0).get("columns").asDouble() / (32 * 14336);
        assertEquals(1790.0 / (1790 + 1230), columns, 0.002);
        if (split.equals("tensor")) {
            assertEquals(32 * 5, devices.get(0).get("kv_heads").asInt());
            assertEquals(32 * 3, devices.get(1).get("kv_heads").asInt());
            assertEquals(
                    3 * devices.get(0).get("kv_bytes").asLong(),
                    5 * devices.get(1).get("kv_bytes").asLong());
        }
    }

    /** 24 and 12 GB hold the model together, and neither alone would hold its part by bandwidth and the rest. */
    @Test
    void theFasterCardGetsNoMoreThanItHasRoomFor() {
        JsonNode plan = json(0, MIXTRAL, "--gpu", "RTX 4090,RTX 3060", "--split", "tensor");
        for (JsonNode device : plan.get("devices")) {
            assertTrue(
                    device.get("weights_bytes").asLong()
                            < device.get("free_bytes").asLong(),
                    device.toString());
        }
        assertEquals(32 * 8, sum(plan.get("devices"), "kv_heads"));
    }

    /** Every layer's experts are parted where the cards' room says, in whole blocks, and read at the same time. */
    @Test
    void dividedExpertsAreSharedByRoom() {
        JsonNode one = json(0, MIXTRAL, "--gpu", "H200");
        JsonNode equal = json(0, MIXTRAL, "--gpu", "H200,H200", "--split", "ffn");
        JsonNode whole = json(0, MIXTRAL, "--gpu", "H200,H200", "--split", "experts");
        // Of 7.9 GB that a token reads, 7.0 are experts': with them halved, 4.4 GB.
        double gain = ceiling(equal) / ceiling(one);
        assertTrue(gain > 1.7 && gain < 1.9, "times " + gain);
        assertEquals(ceiling(whole), ceiling(equal), ceiling(whole) / 50);
        assertEquals(0, sum(equal.get("devices"), "experts"));

        JsonNode devices =
                json(0, MIXTRAL, "--gpu", "RTX 4090,RTX 3060", "--split", "ffn").get("devices");
        assertEquals(32 * 14336, sum(devices, "columns"));
        long large = devices.get(0).get("columns").asLong();
        long small = devices.get(1).get("columns").asLong();
        assertTrue(large % 256 == 0 && small > 32 * 14336 / 4 && large > small, devices.toString());
        assertEquals(28_446_965_760L, sum(devices, "weights_bytes"), 28_446_966);
    }

    private static double ceiling(JsonNode plan) {
        return plan.get("ceiling_tokens_per_second").asDouble();
    }

    @Test
    void theCpuTakesAsManyExpertsAsItIsGiven() {
        String nano = "nano:Q8_0"; // two layers of eight experts
        for (int count : new int[] {0, 3, 8}) {
            JsonNode devices =
                    json(0, nano, "--gpu", "H200", "--cpu-experts", "" + count).get("devices");
            assertEquals("cpu:0", devices.get(1).get("name").asString());
            assertEquals(2 * (8 - count), devices.get(0).get("experts").asInt());
            assertEquals(2 * count, devices.get(1).get("experts").asInt());
        }
        JsonNode none = json(0, nano, "--gpu", "H200", "--cpu-experts", "auto");
        assertEquals(0, none.get("devices").get(1).get("experts").asInt());
        JsonNode two = json(0, nano, "--gpu", "H200,H200", "--cpu-experts", "2").get("devices");
        assertEquals(4, two.get(2).get("experts").asInt());
        assertEquals(6, two.get(0).get("experts").asInt(), 1);
        // A card that is too small stays so.
        JsonNode small = json(1, MIXTRAL, "--gpu", "RTX 3060", "--cpu-experts", "2");
        assertEquals(64, small.get("devices").get(1).get("experts").asInt());
    }

    /** What one card has no room for, and no more: pages that cut into its room count. */
    @ParameterizedTest
    @CsvSource({"4096", "16384", "32768"})
    void theCpuTakesWhatThereIsNoRoomFor(String context) {
        String[] args = {"--gpu", "RTX 4090", "--cpu-experts", "auto", "-c", context};
        Captured planned = plan(MIXTRAL, args);
        Assumptions.assumeFalse(
                planned.out().contains("its part on cpu"), "not tested: this machine has little memory");
        JsonNode devices = json(0, MIXTRAL, args).get("devices");
        JsonNode card = devices.get(0);
        long taken = card.get("weights_bytes").asLong()
                + card.get("kv_bytes").asLong()
                + card.get("scratch_bytes").asLong()
                + card.get("overhead_bytes").asLong();
        long free = card.get("free_bytes").asLong();
        long expert = 3L * 4096 * 14336 * 6 / 8; // bytes, and somewhat more than one has
        assertTrue(taken <= free && taken > free - 4 * expert, taken + " of " + free);
        assertEquals(256, sum(devices, "experts"));
    }

    /** A card that leaves experts to the cpu streams them for long prompts, unless it is told not to. */
    @Test
    void promptsAreStreamedWhereTheCpuHasExperts() {
        String[] args = {"--gpu", "RTX 4090", "--cpu-experts", "auto"};
        Captured planned = plan(MIXTRAL, args);
        Assumptions.assumeFalse(
                planned.out().contains("its part on cpu"), "not tested: this machine has little memory");
        JsonNode streamed = json(0, MIXTRAL, args);
        JsonNode off = json(0, MIXTRAL, with(args, "--stream-prompts", "off"));
        assertEquals(128, streamed.get("streamed_from_tokens").asInt(), 2);
        assertTrue(planned.out().contains("tokens and more have the cpu's experts streamed"), planned.out());
        assertFalse(off.has("streamed_from_tokens"));
        JsonNode asked = json(0, MIXTRAL, with(args, "--stream-prompts", "64"));
        assertEquals(64, asked.get("streamed_from_tokens").asInt());
        // Staging has two or three experts of 0.1 GB in two formats of down, and their room is none for others.
        long all = sum(off.get("devices"), "weights_bytes");
        double staging = (sum(streamed.get("devices"), "weights_bytes") - all) / 1e9;
        assertTrue(staging > 0.2 && staging < 0.6, staging + " GB");
        int more = cpuExperts(streamed) - cpuExperts(off);
        assertTrue(more >= 2 && more <= 8, more + " more experts on the cpu");
        assertFalse(json(0, MIXTRAL, "--gpu", "H200", "--cpu-experts", "auto").has("streamed_from_tokens"));
    }

    private static int cpuExperts(JsonNode plan) {
        return plan.get("devices").get(1).get("experts").asInt();
    }

    /** Whatever is streamed, the words are those of one device. */
    @Test
    void streamedPromptsAreAnsweredAlike() {
        String nano = TestData.golden("nano-Q4_K_M.gguf").toString();
        String prompt =
                "Tell me a story about a river that runs uphill, and about those who live beside it. ".repeat(3);
        String[] run = {"run", nano, "-p", prompt, "-n", "8", "--temp", "0", "--raw"};
        Captured one = Captured.run(with(run, "--device", "cpu"));
        String[] two = with(run, "--device", "cpu,cpu", "--verbose");
        Captured streamed = Captured.run(with(two, "--stream-prompts", "20"));
        assertEquals(one.out(), streamed.out(), streamed.err());
        assertTrue(streamed.err().contains("batches of 20 tokens and more"), streamed.err());
        Captured plain = Captured.run(two);
        assertEquals(one.out(), plain.out(), plain.err());
        assertFalse(plain.err().contains("batches of"), plain.err());
        Captured bench = Captured.run(
                "bench", nano, "--device", "cpu,cpu", "--stream-prompts", "20", "-p", "40", "-n", "2", "-r", "1");
        assertEquals(0, bench.code(), bench.err());
        Captured invariant = Captured.run(with(two, "--stream-prompts", "20", "--batch-invariant"));
        assertEquals(2, invariant.code());
        assertTrue(invariant.err().contains("cannot be streamed"), invariant.err());
    }

    @Test
    void everyCardHasALine() {
        Captured printed = plan(MIXTRAL, "--gpu", "all");
        assertEquals(0, printed.code(), printed.err());
        List<String> lines = printed.out().lines().toList();
        for (Gpu gpu : GpuCatalogue.all()) {
            List<String> found = lines.stream()
                    .filter(line -> line.startsWith(gpu.name() + " ") || line.startsWith(gpu.name() + ","))
                    .toList();
            assertFalse(found.isEmpty(), gpu.name());
            assertEquals(gpu.claimed(), found.getFirst().endsWith("runs Q4_K_M"), found.getFirst());
            boolean small = gpu.name().startsWith("Apple") || gpu.memoryGigabytes() < 28;
            assertTrue(!small || found.getFirst().contains(" no "), found.getFirst());
        }
        assertTrue(printed.out().matches("(?s).*\nmixtral-8x7b:Q8_0 +49\\.63 GB .* 47\\.2 GB\n.*"), printed.out());
        assertTrue(lines.stream().anyMatch(line -> line.startsWith("AMD Radeon Pro Vega II Duo, 2 devices")));
    }

    /** Every row of the page's table is in the catalogue, as the page has it. */
    @Test
    void theCatalogueHasThePagesRows() {
        Set<String> names = new HashSet<>();
        GpuCatalogue.all().forEach(gpu -> assertTrue(names.add(gpu.name()), gpu.name() + " is there twice"));
        assertEquals(30, GpuCatalogue.all().stream().filter(Gpu::claimed).count());
    }

    @Test
    void mistakesAreNamed() {
        String[][] mistakes = {
            {"is in no row of the catalogue", "plan", "--shape", MIXTRAL, "--gpu", "GeForce 256"},
            {"may be any of NVIDIA RTX 5090, ", "plan", "--shape", MIXTRAL, "--gpu", "5090"},
            {"--gpu and --device", "plan", "--shape", MIXTRAL, "--gpu", "H200", "--device", "cpu"},
            {"--context 40000", "plan", "--shape", MIXTRAL, "--context", "40000"},
            {"--slots 0", "plan", "--shape", MIXTRAL, "--slots", "0"},
            {"--kv q4_0", "plan", "--shape", MIXTRAL, "--gpu", "H200", "--kv", "q4_0"},
            {
                "write experts, layers, ffn, tensor or auto",
                "plan",
                "--shape",
                MIXTRAL,
                "--gpu",
                "H200,H200",
                "--split",
                "rows"
            },
            {
                "256 columns in blocks of 256, too few",
                "plan",
                "--shape",
                "nano:Q6_K",
                "--gpu",
                "H200,H200",
                "--split",
                "ffn"
            },
            {"write 0 to the 8 experts", "plan", "--shape", MIXTRAL, "--gpu", "H200", "--cpu-experts", "9"},
            {"write 0 to the 8 experts", "plan", "--shape", MIXTRAL, "--gpu", "H200", "--cpu-experts", "all"},
            {"goes with --split experts", "plan", "--shape", MIXTRAL, "--split", "ffn", "--cpu-experts", "2"},
            {"there is only the cpu", "plan", "--shape", MIXTRAL, "--device", "cpu,cpu", "--cpu-experts", "2"},
            {"for one list of devices", "plan", "--shape", MIXTRAL, "--gpu", "all", "--cpu-experts", "2"},
            {"--cpu-experts and --placement", "plan", "--cpu-experts", "auto", "--placement", "x.json"},
            {"for one list of devices", "plan", "--shape", MIXTRAL, "--gpu", "all", "--placement-out", "x.json"},
            {"write 1 to 16384", "plan", "--shape", MIXTRAL, "--device", "cpu,cpu", "--stream-prompts", "0"},
            {"there is no cpu beside it", "plan", "--shape", MIXTRAL, "--gpu", "H200", "--stream-prompts", "64"},
            {"write 1 to 16384", "plan", "--shape", MIXTRAL, "--device", "cpu,cpu", "--stream-prompts", "on"},
            {"fits always", "plan", "--shape", MIXTRAL, "--device", "reference"},
        };
        for (String[] mistake : mistakes) {
            Captured refused = Captured.run(Arrays.copyOfRange(mistake, 1, mistake.length));
            assertEquals(2, refused.code(), refused.err());
            assertTrue(refused.err().contains(mistake[0]), refused.err());
            assertEquals("", refused.out());
        }
        Captured mixed = plan("nano:Q8_0", "--device", "cpu,reference");
        assertEquals(4, mixed.code());
        assertTrue(mixed.err().contains("takes no part in a split"), mixed.err());
    }

    /** What was chosen can be given back, and computes the same. */
    @Test
    void aPlacementGoesThroughAFile() throws IOException {
        String nano = TestData.golden("nano-Q4_K_M.gguf").toString();
        Path file = folder.resolve("placement.json");
        String[] run = {"run", nano, "-p", "hello", "-n", "8", "--temp", "0", "--raw"};
        Captured one = Captured.run(with(run, "--device", "cpu"));
        Captured chosen =
                Captured.run(with(run, "--device", "cpu,cpu", "--placement-out", file.toString(), "--verbose"));
        assertEquals(0, chosen.code(), chosen.err());
        assertEquals(one.out(), chosen.out());
        assertTrue(chosen.err().contains("cpu:0 planned"), chosen.err());
        JsonNode written = JsonMapper.builder().build().readTree(Files.readString(file));
        assertEquals("cpu", written.get("devices").get(1).asString());
        assertEquals(2, written.get("layers").size());
        Captured given = Captured.run(with(run, "--placement", file.toString()));
        assertEquals(one.out(), given.out(), given.err());
        Captured layers = Captured.run(with(run, "--device", "cpu,cpu", "--split", "layers"));
        assertEquals(one.out(), layers.out(), layers.err());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "3 | expert 1 is named twice | ['cpu','cpu'] | [[0,1,2,3],[1,4,5,6,7]]",
                "3 | expert 7 is on no device | ['cpu','cpu'] | [[0,1,2,3],[4,5,6]]",
                "3 | 8 is no expert | ['cpu','cpu'] | [[0,1,2,3],[4,5,6,7,8]]",
                "3 | not a list for each | ['cpu','cpu'] | [[0,1,2,3,4,5,6,7]]",
                "4 | there is no backend 'cube' | ['cpu','cube'] | [[0,1,2,3],[4,5,6,7]]",
                "4 | there is no cpu:7 | ['cpu','cpu:7'] | [[0,1,2,3],[4,5,6,7]]",
                "3 | two lists | [] | [[0]]",
            })
    void aWrongPlacementIsRefused(int code, String sentence, String devices, String experts) throws IOException {
        String layer = "{'home': 0, 'experts': " + experts + "}";
        String text = "{'devices': " + devices + ", 'layers': [" + layer + "," + layer + "]}";
        Path file = Files.writeString(folder.resolve("wrong.json"), text.replace('\'', '"'));
        String nano = TestData.golden("nano-Q4_K_M.gguf").toString();
        Captured refused = Captured.run("run", nano, "-p", "x", "-n", "1", "--placement", file.toString());
        assertEquals(code, refused.code(), refused.err());
        assertTrue(refused.err().contains(sentence), refused.err());
        assertEquals("", refused.out());
    }

    /** A model of one layer, whose experts have 1280 columns in blocks of 256. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "it has 1024 columns where the experts have 1280 | 'columns': [512,512]",
                "begin at 500, within a block of 256 | 'columns': [500,780]",
                "'columns' is not a number for each of the 2 devices | 'columns': [1280]",
                "'columns' is not a number for each of the 2 devices | 'columns': 1280",
                "-256 in 'columns' is no count | 'columns': [-256,1536]",
                "0.5 in 'columns' is no count | 'columns': [0.5,1279.5]",
                "either 'experts' or 'columns' | 'columns': [512,768], 'experts': [[0,1],[2,3]]",
                "either 'experts' or 'columns' | 'column': [512,768]",
                "so has to have 'columns' | 'kv_heads': [1,1], 'experts': [[0,1],[2,3]]",
                "4294967294 KV heads where | 'columns': [512,768], 'kv_heads': [2147483647,2147483647]",
                "1.5 in 'kv_heads' is no count | 'columns': [512,768], 'kv_heads': [1.5,0.5]",
            })
    void wrongColumnsAreRefused(String sentence, String field) throws IOException {
        String text = "{'devices': ['cpu','cpu'], 'layers': [{'home': 0, " + field + "}]}";
        Path file = Files.writeString(folder.resolve("wrong.json"), text.replace('\'', '"'));
        String wide = TestData.golden("wide-Q6_K.gguf").toString();
        Captured refused = Captured.run("run", wide, "-p", "x", "-n", "1", "--placement", file.toString());
        assertEquals(3, refused.code(), refused.err());
        assertTrue(
                refused.err().contains("wrong.json: layer 0: ") && refused.err().contains(sentence), refused.err());
        assertEquals("", refused.out());
    }

    /** Chosen, written, read and computed again: the same bits; and close to those of one device. */
    @Test
    void dividedExpertsGoThroughAFile() throws IOException {
        String wide = TestData.golden("wide-Q6_K.gguf").toString();
        Path file = folder.resolve("placement.json");
        String[] logits = {"logits", wide, "--tokens", "1,2,3,4,5,6,7,8,9", "--activations", "half", "--out"};
        Path one = folder.resolve("one");
        Path chosen = folder.resolve("chosen");
        Path given = folder.resolve("given");
        String[][] runs = {
            with(logits, one.toString(), "--device", "cpu"),
            with(
                    logits,
                    chosen.toString(),
                    "--device",
                    "cpu,cpu",
                    "--split",
                    "ffn",
                    "--placement-out",
                    file.toString()),
            with(logits, given.toString(), "--placement", file.toString()),
        };
        for (String[] run : runs) {
            Captured ran = Captured.run(run);
            assertEquals(0, ran.code(), ran.err());
        }
        JsonNode layer = JsonMapper.builder()
                .build()
                .readTree(Files.readString(file))
                .get("layers")
                .get(0);
        assertFalse(layer.has("experts"));
        assertEquals(
                1280,
                layer.get("columns").get(0).asInt()
                        + layer.get("columns").get(1).asInt());
        assertTrue(layer.get("columns").get(0).asInt() > 0
                && layer.get("columns").get(1).asInt() > 0);
        assertArrayEquals(Files.readAllBytes(chosen), Files.readAllBytes(given));
        double error = GoldenModels.nmse(floats(chosen), floats(one));
        assertTrue(error > 0 && error <= 1e-7, "" + error);
    }

    private static float[] floats(Path file) throws IOException {
        float[] values = new float[(int) Files.size(file) / Float.BYTES];
        ByteBuffer.wrap(Files.readAllBytes(file))
                .order(ByteOrder.LITTLE_ENDIAN)
                .asFloatBuffer()
                .get(values);
        return values;
    }

    @Test
    void whatIsNoPlacementIsRefused() throws IOException {
        String nano = TestData.golden("nano-Q4_K_M.gguf").toString();
        for (String text : List.of("", "no JSON", "[1,2]", "{\"devices\":3,\"layers\":{}}", "{\"layers\":[null]}")) {
            Path file = Files.writeString(folder.resolve("wrong.json"), text);
            Captured refused = Captured.run("run", nano, "-p", "x", "--placement", file.toString());
            assertEquals(3, refused.code(), text + ": " + refused.err());
            assertTrue(refused.err().contains("wrong.json"), refused.err());
        }
        Captured missing = Captured.run("run", nano, "-p", "x", "--placement", "/nowhere.json");
        assertEquals(3, missing.code());
    }

    private static String[] with(String[] first, String... rest) {
        String[] all = Arrays.copyOf(first, first.length + rest.length);
        System.arraycopy(rest, 0, all, first.length, rest.length);
        return all;
    }
}
