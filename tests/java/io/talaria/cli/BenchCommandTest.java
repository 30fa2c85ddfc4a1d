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
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
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
