package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.TestData;
import io.talaria.eval.ExpertUse;
import io.talaria.placement.Link;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What {@code experts simulate} says, and the split that {@code auto} chooses from it. */
class ExpertsSimulateCommandTest {
    private static final String PAIR = "NVIDIA RTX 5090,NVIDIA RTX 5090";

    @TempDir
    private Path folder;

    private static Captured simulate(String... rest) {
        List<String> args = new ArrayList<>(List.of("experts", "simulate"));
        args.addAll(List.of(rest));
        return Captured.run(args.toArray(String[]::new));
    }

    private static JsonNode json(String... rest) {
        List<String> args = new ArrayList<>(List.of(rest));
        args.add("--json");
        Captured printed = simulate(args.toArray(String[]::new));
        assertEquals(0, printed.code(), printed.err());
        return JsonMapper.builder().build().readTree(printed.out());
    }

    private static JsonNode strategy(JsonNode report, String name) {
        return report.get("strategies")
                .valueStream()
                .filter(row -> row.get("name").asString().startsWith(name))
                .findFirst()
                .orElseThrow();
    }

    private static double speed(JsonNode report, String name) {
        return strategy(report, name).get("decode_tokens_per_second").asDouble();
    }

    /**
     * One 5090: 7.895 GB of weights and 512 positions of 128 KiB at 80 % of 1792 GB/s, 32 layers of 16 us and a step of 10 us.
     */
    @Test
    void oneCardReadsItsBytes() {
        JsonNode report = json("--gpu", PAIR);
        double seconds = (7.895e9 + 512 * 131072) / (0.8 * 1792e9) + 32 * 16e-6 + 10e-6;
        assertEquals(1 / seconds, speed(report, "one device"), 0.05);
        assertTrue(report.get("simulated").asBoolean());
        assertTrue(
                strategy(report, "one device").get("prefill_tokens_per_second").isNull());
    }

    /** What travels in 32 layers: there and back, 16 KB of h, 16 bytes of routing and 32 KB of slots. */
    @Test
    void theLinkIsCounted() {
        JsonNode report = json("--gpu", PAIR); // 10 us and 12.5 GB/s
        double seconds = 32 * (2 * 10e-6 + (16384 + 16 + 32768) / 12.5e9);
        for (String name : List.of("experts", "ffn")) {
            assertEquals(1e3 * seconds, strategy(report, name).get("link_ms").asDouble(), 1e-6);
        }
        assertEquals(
                1e3 * (10e-6 + 16384 / 12.5e9),
                strategy(report, "layers").get("link_ms").asDouble(),
                1e-9);
        JsonNode peer = json("--gpu", PAIR, "--link", "50,4");
        assertEquals(
                1e3 * 32 * (2 * 4e-6 + (16384 + 16 + 32768) / 50e9),
                strategy(peer, "ffn").get("link_ms").asDouble(),
                1e-6);
        assertTrue(speed(peer, "ffn") > 1.4 * speed(peer, "one device"));
        assertTrue(speed(peer, "tensor") > speed(peer, "ffn"));
    }

    /** Experts twice, one after the other, is faster than once; nothing is faster than all columns divided evenly. */
    @Test
    void placementsAreInOrder() {
        JsonNode report = json("--gpu", PAIR, "--link", "1e9,0", "--overhead", "0,0", "--tflops", "200");
        assertTrue(speed(report, "experts by use, some twice") > 1.1 * speed(report, "experts by use"));
        assertTrue(speed(report, "experts by use") >= speed(report, "experts"));
        assertTrue(speed(report, "ffn") >= speed(report, "experts by use, some twice") * (1 - 1e-9));
        assertEquals(speed(report, "one device"), speed(report, "layers"), 0.01);
        // Two of 2: the experts' 6.826 GB in halves, of 7.895 GB and the cache.
        double all = 7.895e9 + 512 * 131072;
        assertEquals(
                all / (all - 6.826e9 / 2),
                strategy(report, "ffn").get("decode_speedup").asDouble(),
                0.002);
        // In halves, but for copies within each card's memory: there and back, of attention's parts and of the slots'
        // sums.
        double alone = 512
                / strategy(report, "one device")
                        .get("prefill_tokens_per_second")
                        .asDouble();
        double copies = 32 * 512 * (2 * 2 * 16384.0) * 2 / (0.8 * 1792e9);
        assertEquals(
                alone / (alone / 2 + copies),
                strategy(report, "tensor").get("prefill_speedup").asDouble(),
                0.005);
    }

    /** Each in its card's memory, or named as too large; columns go where there is room. */
    @Test
    void whatDoesNotFitIsSaid() {
        JsonNode report = json("--gpu", "RTX 4090,RTX 3060");
        JsonNode alone = strategy(report, "one device: NVIDIA GeForce RTX 4090");
        assertFalse(alone.get("fits").asBoolean());
        assertTrue(alone.get("problem").asString().contains("GB too many"), alone.toString());
        assertTrue(strategy(report, "experts").get("fits").asBoolean());
        assertTrue(strategy(report, "experts").get("decode_speedup").isNull());
        JsonNode cached = strategy(report, "experts cached");
        assertTrue(cached.get("name").asString().endsWith(", 6 a layer"), cached.toString());
        JsonNode tiny = json("--gpu", "RTX 3060,RTX 3060");
        assertFalse(strategy(tiny, "experts").get("fits").asBoolean());
        assertFalse(strategy(tiny, "ffn").get("fits").asBoolean());
        assertTrue(simulate("--gpu", "RTX 3060,RTX 3060").out().contains("no room: "));
    }

    /** Two experts of one half that are always used together: in halves as they lie no gain, exchanged all of it. */
    @Test
    void aRecordOfUseCounts() throws IOException {
        ExpertUse counted = new ExpertUse(32, 8);
        for (int layer = 0; layer < 32; layer++) {
            for (int first = 0; first < 8; first++) {
                for (int second = first + 1; second < 8; second++) {
                    if ((first + second) % 2 == 0) {
                        counted.add(layer, new int[][] {{first, second}});
                    }
                }
            }
        }
        Path csv = Files.writeString(folder.resolve("use.csv"), counted.csv());
        String[] free = {"--gpu", PAIR, "--link", "1000,0", "--overhead", "0,0"};
        JsonNode even = json(free);
        String[] used = Arrays.copyOf(free, free.length + 2);
        used[free.length] = "--use";
        used[free.length + 1] = csv.toString();
        JsonNode recorded = json(used);
        assertTrue(recorded.get("assumptions").toString().contains("use.csv"));
        assertTrue(even.get("assumptions").toString().contains("as likely as any other"));
        assertTrue(speed(recorded, "experts by use") > 1.05 * speed(recorded, "experts"));
        assertEquals(
                "--placement-out",
                strategy(recorded, "experts by use").get("option").asString());
        assertEquals(speed(even, "ffn"), speed(recorded, "ffn"), 1e-9);
    }

    /** The link between devices that are here is measured; of the same device twice nothing is faster than once. */
    @Test
    void presentDevicesAreMeasured() {
        JsonNode report = json("--device", "cpu,cpu", "--shape", "nano:Q4_K_M", "--threads", "1");
        JsonNode trips = report.at("/measured/there_and_back");
        assertEquals(16384, trips.get(0).get("bytes").asInt());
        assertEquals(8388608, trips.get(1).get("bytes").asInt());
        assertTrue(trips.get(0).get("microseconds").asDouble() > 0);
        assertTrue(report.at("/link/gb_s").asDouble() > 0.01, report::toString);
        for (String name : List.of("experts", "layers")) {
            double speedup = strategy(report, name).get("decode_speedup").asDouble();
            assertTrue(speedup > 0 && speedup <= 1, report::toString);
        }
    }

    /** Experts 0 and 1 are always used together, and are parted; the file is one that a run takes. */
    @Test
    void whatIsPlacedByUseCanBeRun() throws IOException {
        ExpertUse counted = new ExpertUse(2, 8);
        for (int layer = 0; layer < 2; layer++) {
            counted.add(layer, new int[][] {{0, 1}, {0, 1}, {0, 1}, {2, 3}, {4, 5}, {6, 7}});
        }
        Path csv = Files.writeString(folder.resolve("use.csv"), counted.csv());
        Path file = folder.resolve("placed.json");
        String nano = TestData.golden("nano-Q4_K_M.gguf").toString();
        String[] devices = {"--device", "cpu,cpu", "--threads", "1"};
        Captured simulated = simulate(with(
                devices,
                nano,
                "--use",
                csv.toString(),
                "--placement-out",
                file.toString(),
                "--link",
                "1000,0",
                "--apart"));
        assertEquals(0, simulated.code(), simulated.err());
        JsonNode placed = JsonMapper.builder().build().readTree(Files.readAllBytes(file));
        for (JsonNode layer : placed.get("layers")) {
            for (JsonNode experts : layer.get("experts")) {
                List<Integer> held = experts.valueStream().map(JsonNode::asInt).toList();
                assertFalse(held.containsAll(List.of(0, 1)), layer::toString);
            }
        }
        String[] run = {"run", nano, "-p", "hello", "-n", "4", "--temp", "0", "--raw", "--threads", "1"};
        Captured one = Captured.run(with(run, "--device", "cpu"));
        Captured two = Captured.run(with(run, "--placement", file.toString()));
        assertEquals(one.out(), two.out());
        Captured refused = simulate("--gpu", PAIR, "--placement-out", file.toString());
        assertEquals(2, refused.code());
        assertTrue(refused.err().contains("goes with --device"), refused.err());
        Captured single = simulate("--device", "cpu", nano, "--placement-out", file.toString());
        assertEquals(2, single.code());
        assertTrue(single.err().contains("several devices"), single.err());
    }

    @Test
    void everyLinkIsInTheHelp() {
        String help = simulate("--help").out();
        Link.NAMED.forEach(link -> assertTrue(help.contains(link.name()), link.name()));
    }

    @Test
    void mistakesAreNamed() throws IOException {
        Path other = Files.writeString(folder.resolve("other.csv"), "a,b\n1,2\n");
        Path small = Files.writeString(
                folder.resolve("small.csv"), new ExpertUse(2, 8).csv().replace("NaN", "0"));
        String[][] mistakes = {
            {"--link pcie9", "--gpu", PAIR, "--link", "pcie9"},
            {"--link 0,1", "--gpu", PAIR, "--link", "0,1"},
            {"--efficiency 1.5", "--gpu", PAIR, "--efficiency", "1.5"},
            {"--tflops 1,2,3", "--gpu", PAIR, "--tflops", "1,2,3"},
            {"--tflops NaN", "--gpu", PAIR, "--tflops", "NaN"},
            {"--overhead 1", "--gpu", PAIR, "--overhead", "1"},
            {"is in no row", "--gpu", "GeForce 256"},
            {"--gpu all is for plan", "--gpu", "all"},
            {"-p 1:", "--gpu", PAIR, "-p", "1"},
            {"name one of them", "--gpu", PAIR, "--device", "cpu"},
            {"--json and --md", "--gpu", PAIR, "--json", "--md"},
            {"wrote", "--gpu", PAIR, "--use", folder.resolve("none.csv").toString()},
            {"its first line", "--gpu", PAIR, "--use", other.toString()},
            {"16 lines where the model has 32 layers", "--gpu", PAIR, "--use", small.toString()},
            {"layer 0: no experts were chosen", "--shape", "nano:Q8_0", "--gpu", PAIR, "--use", small.toString()},
        };
        for (String[] mistake : mistakes) {
            Captured refused = simulate(Arrays.copyOfRange(mistake, 1, mistake.length));
            assertEquals(2, refused.code(), mistake[0] + ": " + refused.err());
            assertTrue(refused.err().contains(mistake[0]), refused.err());
            assertEquals("", refused.out());
        }
    }

    /**
     * Two 5090 read experts faster by more than an exchange costs, and what is too large for one is divided. Beside an H200 a
     * card of 360 GB/s saves at most a tenth of 1.8 ms, and an exchange costs 0.8 ms: it is left alone.
     */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "Q4_K_M | NVIDIA RTX 5090,NVIDIA RTX 5090 | --split tensor",
                "Q4_K_M | NVIDIA H200,RTX 3060 | all on NVIDIA H200",
                "Q8_0 | NVIDIA RTX 5090,NVIDIA RTX 5090 | --split tensor",
                "Q8_0 | NVIDIA Quadro GV100,H100 PCIe | --split tensor",
            })
    void autoChoosesTheFastest(String format, String gpus, String chosen) {
        String[] auto = {"plan", "--gpu", gpus, "--split", "auto", "--shape", "mixtral-8x7b:" + format};
        Captured plan = Captured.run(auto);
        assertEquals(0, plan.code(), plan.err());
        assertTrue(plan.out().contains("--split auto: " + chosen), plan.out());
        assertTrue(plan.out().contains("tokens/s simulated; "), plan.out());
        assertEquals(chosen.startsWith("all"), plan.out().contains("0 layers, 0 experts"), plan.out());
        // What is said is what the simulation of the same devices says, and the best of it.
        JsonNode report = json("--gpu", gpus, "--shape", "mixtral-8x7b:" + format, "-d", "0");
        double best = 0;
        for (String name : List.of("one device: " + gpus.split(",")[0], "experts", "layers", "ffn", "tensor")) {
            best = strategy(report, name).get("fits").asBoolean() ? Math.max(best, speed(report, name)) : best;
        }
        assertTrue(plan.out().contains(String.format(Locale.ROOT, " %.1f tokens/s simulated", best)), plan.out());
    }

    /**
     * The caches of seven texts of 32,768 take 30.1 of one card's 33.8 GB: next to them hardly an expert has room, but half of
     * them and half of the experts have.
     */
    @Test
    void autoDividesCachesWhereRoomIsMissing() {
        Captured plan = Captured.run("plan", "--gpu", PAIR, "--split", "auto", "-c", "32768", "--slots", "7");
        assertEquals(0, plan.code(), plan.err());
        assertTrue(plan.out().contains("--split auto: --split tensor "), plan.out());
        assertTrue(plan.out().contains("; all on NVIDIA RTX 5090 does not fit, "), plan.out());
    }

    @Test
    void autoRunsWhatItChose() {
        String nano = TestData.golden("nano-Q4_K_M.gguf").toString();
        String[] run = {"run", nano, "-p", "hello", "-n", "4", "--temp", "0", "--raw", "--threads", "1", "--device"};
        Captured one = Captured.run(with(run, "cpu"));
        Captured auto = Captured.run(with(run, "cpu,cpu", "--split", "auto"));
        assertEquals(0, auto.code(), auto.err());
        assertEquals(one.out(), auto.out());
        assertTrue(auto.err().contains("talaria: --split auto: "), auto.err());
        assertEquals(0, Captured.run(with(run, "cpu", "--split", "auto")).code());
    }

    private static String[] with(String[] args, String... more) {
        List<String> all = new ArrayList<>(List.of(args));
        all.addAll(List.of(more));
        return all.toArray(String[]::new);
    }
}
