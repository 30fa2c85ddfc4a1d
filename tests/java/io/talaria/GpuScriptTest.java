package io.talaria;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code ci/gpu.sh} with a distribution whose programs are made of shell. */
class GpuScriptTest {
    private static final String TALARIA = """
            #!/usr/bin/env bash
            here=$(cd "$(dirname "$0")/.." && pwd)
            echo "$*" >> "$here/calls"
            case $1 in
              devices)
                printf '{\\n  "devices" : [ {\\n    "device" : "gpu:0",\\n    "name" : "Test \\\\"GPU\\\\" A"\\n  } ],\\n'
                printf '  "absent" : [ {\\n    "backend" : "cuda",\\n    "reason" : "there is no driver"\\n  } ]\\n}\\n' ;;
              bench)
                case "$*" in
                  *F16*) echo 'talaria: it does not fit' >&2; exit 4 ;;
                  *Q6_K*) [ -e "$here/repaired" ] || { echo 'talaria: it broke' >&2; exit 1; } ;;
                  *Q8_0*) sleep 30 ;;
                esac
                speed=12.5
                case "$*" in *ffn*) speed=12.4 ;; esac
                printf '{\\n  "tests" : [ {\\n    "test" : "tg128",\\n    "tokens_per_second" : %s,\\n' "$speed"
                printf '    "bandwidth_fraction" : 0.5\\n  } ]\\n}\\n' ;;
              plan) printf '{\\n  "devices" : [ {\\n    "layers" : 32\\n  } ]\\n}\\n' ;;
              validate) printf '{\\n  "passed" : 3,\\n  "failed" : 0,\\n  "unsupported" : 0\\n}\\n' ;;
              synthesize) echo made > "$2" ;;
              logits)
                model=$(basename "$2" .gguf)
                all=$*
                while [ $# -gt 0 ]; do [ "$1" != --out ] || out=$2; shift; done
                cp "$here/tests/data/golden/$model.0.logits.f32" "$out"
                case "$*$all" in *layers*) echo more >> "$out" ;; esac
                printf '{\\n  "columns" : 512\\n}\\n' ;;
            esac
            """;

    @TempDir
    private Path folder;

    private record Outcome(int code, String out) {}

    private Outcome run(String... args) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of("bash", "ci/gpu.sh", "--dist", dist().toString()));
        command.addAll(List.of("--out", folder.resolve("report").toString()));
        command.addAll(List.of(args));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Outcome(process.waitFor(), out);
    }

    private Path dist() {
        return folder.resolve("a dist");
    }

    private JsonNode report() throws IOException {
        return JsonMapper.builder()
                .build()
                .readTree(Files.readString(folder.resolve("report").resolve("report.json")));
    }

    @BeforeEach
    void makeDistribution() throws IOException {
        Assumptions.assumeTrue(Files.exists(Path.of("/usr/bin/timeout")), "not tested: GNU coreutils are not here");
        Path talaria = Files.createDirectories(dist().resolve("bin")).resolve("talaria");
        Files.writeString(talaria, TALARIA);
        assertTrue(talaria.toFile().setExecutable(true));
        Files.writeString(
                dist().resolve("build.json"), "{\"version\": \"1\", \"commit\": \"abc\", \"backends\": \"gpu\"}\n");
    }

    @Test
    void withoutTheDeviceNothingIsRun() throws Exception {
        Outcome outcome = run("--stage", "bench");
        assertEquals(4, outcome.code());
        assertEquals("ci/gpu.sh: there is no cuda:0 here: there is no driver; nothing was run\n", outcome.out());
        assertEquals("devices --json\n", Files.readString(dist().resolve("calls")));
    }

    @Test
    void whatIsDoneIsNotDoneAgain() throws Exception {
        String[] args = {"--stage", "bench", "--device", "gpu:0", "--formats", "Q4_K_M Q6_K F16", "--depths", "0 64"};
        Outcome first = run(args);
        assertEquals(1, first.code(), first.out());
        assertTrue(first.out().contains("    talaria: it broke\n"), first.out());
        JsonNode steps = report().get("stages").get("bench");
        assertEquals(6, steps.size());
        assertEquals(
                "Test \"GPU\" A",
                report().get("machine").get("device_name").asString().replace("\\", ""));
        for (JsonNode step : steps) {
            String wanted = switch (step.get("step").asString().replaceAll("-d.*", "")) {
                case "F16" -> "not run";
                case "Q6_K" -> "failed";
                default -> "passed";
            };
            assertEquals(wanted, step.get("outcome").asString(), step.toString());
        }
        assertEquals(
                12.5,
                steps.get(2)
                        .get("result")
                        .get("tests")
                        .get(0)
                        .get("tokens_per_second")
                        .asDouble());

        Files.createFile(dist().resolve("repaired"));
        Outcome second = run(args);
        assertEquals(0, second.code(), second.out());
        assertEquals(
                4,
                second.out()
                        .lines()
                        .filter(line -> line.endsWith("done before"))
                        .count());
        String markdown = Files.readString(folder.resolve("report").resolve("report.md"));
        assertTrue(markdown.contains("| Q6_K-d64 | passed | "), markdown);
        assertTrue(markdown.contains("| tg128 12.5 tokens/s (50 % of the bandwidth) |"), markdown);
        assertTrue(markdown.contains("| F16-d0 | not run | "), markdown);

        Files.writeString(dist().resolve("build.json"), "{\"commit\": \"other\"}\n"); // another build: all of it again
        assertEquals(
                0,
                run(args)
                        .out()
                        .lines()
                        .filter(line -> line.endsWith("done before"))
                        .count());
    }

    @Test
    void aStageKeepsToItsBudget() throws Exception {
        String[] args = {
            "--stage", "bench", "--device", "gpu:0", "--formats", "Q4_K_M Q8_0", "--depths", "0", "--budget", "3"
        };
        Outcome outcome = run(args);
        assertEquals(75, outcome.code(), outcome.out());
        assertTrue(outcome.out().contains("out of time before Q8_0-d0"), outcome.out());
        assertEquals(1, report().get("stages").get("bench").size());
        Outcome alone = run(args); // with all of the budget it does not end either
        assertEquals(1, alone.code(), alone.out());
        assertTrue(alone.out().contains("longer than the budget"), alone.out());
    }

    @Test
    void enginesTakeTurnsOnOneFile() throws Exception {
        Path peer = folder.resolve("llama-bench");
        Files.writeString(peer, """
                #!/usr/bin/env bash
                [ -s "$2" ] || exit 1
                printf '[\\n  {\\n    "n_prompt": 0,\\n    "n_gen": 128,\\n    "avg_ts": 5.0\\n  }\\n]\\n'
                """);
        assertTrue(peer.toFile().setExecutable(true));
        String[] args = {
            "--stage",
            "peer",
            "--device",
            "gpu:0",
            "--formats",
            "Q4_K_M",
            "--depths",
            "0",
            "--repeat",
            "2",
            "--peer-bin",
            peer.toString()
        };
        Outcome outcome = run(args);
        assertEquals(0, outcome.code(), outcome.out());
        assertEquals(4, report().get("stages").get("peer").size());
        String markdown = Files.readString(folder.resolve("report").resolve("report.md"));
        assertTrue(markdown.contains("| Q4_K_M-d0 | tg128 | 12.5 | 5.0 | 2.50 |"), markdown);
        assertEquals(
                4,
                run("--stage", "peer", "--device", "gpu:0", "--peer-bin", "/nowhere")
                        .code());
    }

    /** The stand-in gives other logits over layers, and is slower with ffn: 1 / 12.4 - 1 / 12.5 s over 32 layers. */
    @Test
    void twoDevicesAreComparedWithOne() throws Exception {
        Path golden = Files.createDirectories(dist().resolve("tests/data/golden"));
        for (String name : List.of("wide-Q6_K.gguf", "wide-Q6_K.0.logits.f32", "wide.json")) {
            Files.copy(TestData.golden(name), golden.resolve(name));
        }
        Outcome outcome = run("--stage", "split", "--device", "gpu:0", "--formats", "Q4_K_M");
        assertEquals(1, outcome.code(), outcome.out());
        String markdown = Files.readString(folder.resolve("report").resolve("report.md"));
        assertTrue(markdown.matches("(?s).*\\| same-experts \\| passed \\| \\d+ \\| equal to the bit \\|.*"), markdown);
        assertTrue(markdown.contains("| same-layers | failed | "), markdown);
        assertTrue(
                markdown.matches("(?s).*\\| overhead-ffn \\| passed \\| \\d+ \\| 20.16 us per layer \\|.*"), markdown);
        String calls = Files.readString(dist().resolve("calls"));
        assertTrue(calls.contains("--device gpu:0,gpu:0 --split tensor "), calls);
        assertTrue(calls.contains("--device gpu:0 --cpu-experts 4 "), calls);
        run("--stage", "split", "--device", "gpu:0", "--second", "other:1", "--formats", "Q4_K_M", "--fresh");
        String later = Files.readString(dist().resolve("calls")).substring(calls.length());
        assertTrue(later.contains("--device gpu:0,other:1 --split ffn "), later);
        assertTrue(!later.contains("logits") && !later.contains("plan "), later);
    }

    /** Every golden prompt against exact logits: those of the prompt pass, those of another do not. */
    @Test
    void logitsAreCompared() throws Exception {
        Path golden = Files.createDirectories(dist().resolve("tests/data/golden"));
        for (String model : List.of("nano-Q4_K_M", "wide-Q6_K")) {
            for (String end : List.of(".gguf", ".0.logits.f32", ".1.logits.f32", ".2.logits.f32")) {
                Files.copy(TestData.golden(model + end), golden.resolve(model + end));
            }
            String json = model.split("-")[0] + ".json";
            Files.copy(TestData.golden(json), golden.resolve(json));
        }
        run("--stage", "validate", "--device", "gpu:0", "--formats", "Q4_K_M");
        int passed = 0;
        int failed = 0;
        for (JsonNode step : report().get("stages").get("validate")) {
            String name = step.get("step").asString();
            if (name.startsWith("logits-")) {
                boolean right = name.contains(".0-"); // the stand-in always gives those of prompt 0
                assertEquals(right ? "passed" : "failed", step.get("outcome").asString(), name);
                passed += right ? 1 : 0;
                failed += right ? 0 : 1;
            }
        }
        assertEquals(8, passed);
        assertEquals(8, failed);
        String calls = Files.readString(dist().resolve("calls"));
        assertTrue(calls.contains("--chunk 1 ") && calls.contains("--activations half"), calls);
        int[] tokens = GoldenModels.prompts("nano-Q4_K_M.gguf").get(1).tokens();
        String list = String.join(
                ",", java.util.Arrays.stream(tokens).mapToObj(String::valueOf).toList());
        assertTrue(calls.contains("--tokens " + list + " "), calls);
    }
}
