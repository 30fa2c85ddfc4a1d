package io.talaria.bench;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** What the makers of GPUs say of their memory, in {@code gpus.csv}. */
public final class GpuCatalogue {
    private static final List<Gpu> GPUS = read();
    /** Words that drivers write or leave out as they like. */
    private static final Set<String> NOISE =
            Set.of("nvidia", "amd", "apple", "geforce", "tesla", "quadro", "radeon", "instinct", "generation", "gb");
    /** Part of the memory is taken by the driver or by error correction, and gigabytes are of two sizes. */
    private static final double MEMORY_TOLERANCE = 0.15;

    /**
     * One GPU.
     *
     * @param memoryGigabytes 10^9 or 2^30 bytes, as its maker says it
     * @param gigabytesPerSecond what its memory was built for
     */
    public record Gpu(String name, double memoryGigabytes, double gigabytesPerSecond, String architecture) {}

    private GpuCatalogue() {}

    /**
     * The GPU that calls itself so and has about so much memory; of one name there are often several sizes.
     *
     * @param name what its driver says, perhaps with more behind a comma
     */
    public static Optional<Gpu> find(String name, long memoryBytes) {
        Set<String> words = words(name.split(",", 2)[0]);
        return GPUS.stream()
                .filter(gpu -> words(gpu.name()).equals(words))
                .filter(gpu -> Math.abs(memoryBytes / (gpu.memoryGigabytes() * 1e9) - 1) < MEMORY_TOLERANCE)
                .findFirst();
    }

    /** The words that tell models apart, without sizes of memory. */
    private static Set<String> words(String name) {
        Set<String> words = new TreeSet<>();
        for (String word : name.toLowerCase(Locale.ROOT).split("[^a-z0-9]+")) {
            if (!word.isEmpty() && !NOISE.contains(word) && !word.matches("\\d+(gb)?") || isModelNumber(word)) {
                words.add(word);
            }
        }
        return words;
    }

    /** 5090 is a model, 32 a size. */
    private static boolean isModelNumber(String word) {
        return word.matches("\\d{4,}");
    }

    private static List<Gpu> read() {
        try (InputStream in = GpuCatalogue.class.getResourceAsStream("gpus.csv")) {
            String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
            return text.lines().skip(1).map(GpuCatalogue::parse).toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Gpu parse(String line) {
        List<String> fields = Arrays.asList(line.split(","));
        return new Gpu(
                fields.get(0), Double.parseDouble(fields.get(1)), Double.parseDouble(fields.get(2)), fields.get(3));
    }
}
