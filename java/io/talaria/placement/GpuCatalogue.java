package io.talaria.placement;

import io.talaria.backend.DeviceInfo;
import io.talaria.backend.GpuProbe;
import io.talaria.backend.GpuState;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeSet;

/**
 * What the makers of GPUs say of their memory, in {@code gpus.csv}: name, GB, GB/s and architecture; whose memory it is
 * ({@link Memory}); how many devices a card is, each with so much memory; and whether the model's page lists it among
 * those that can run the model.
 */
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
     * @param devices that the card is for a program, each with this memory and bandwidth
     * @param claimed whether the model's page says that it can run the model at Q4_K_M
     */
    public record Gpu(
            String name,
            double memoryGigabytes,
            double gigabytesPerSecond,
            String architecture,
            Memory memory,
            int devices,
            boolean claimed) {
        /** Bytes of one device that a program can have while nothing else runs there, rather too few than too many. */
        public long usableBytes() {
            return (long) (memory.usableGigabytes(memoryGigabytes) * (1L << 30));
        }
    }

    /** Whose memory a GPU has. */
    public enum Memory {
        /** Its own, but for what drivers keep and error correction takes: 0.5 to 1.1 % on the cards that we know of. */
        OWN,
        /** Apple's, of which a process may wire two thirds, and three quarters where there are more than 36 GB. */
        UNIFIED,
        /** The system's, as on Jetsons: what the system needs is not there for the model. */
        SHARED;

        private static final double SYSTEM_GIGABYTES = 4;

        double usableGigabytes(double all) {
            return switch (this) {
                case OWN -> all * 0.985;
                case UNIFIED -> all <= 36 ? all * 2 / 3 : all * 3 / 4;
                case SHARED -> all - SYSTEM_GIGABYTES;
            };
        }
    }

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

    /** What a device's memory was built for, in GB/s, if the catalogue or its driver knows it. */
    public static OptionalDouble bandwidth(DeviceInfo device) {
        return find(device.name(), device.memoryBytes())
                .map(gpu -> OptionalDouble.of(gpu.gigabytesPerSecond()))
                .orElseGet(() -> GpuProbe.all().stream()
                        .filter(gpu -> gpu.bandwidth() > 0 && device.name().startsWith(gpu.name()))
                        .mapToDouble(GpuState::bandwidth)
                        .findFirst());
    }

    /** All GPUs, in the order of the file. */
    public static List<Gpu> all() {
        return GPUS;
    }

    /**
     * The GPU that a user means: the one of exactly these words, or else the only one that has them all.
     *
     * @throws IllegalArgumentException if there is none, or several; the message names them
     */
    public static Gpu named(String name) {
        Set<String> words = words(name);
        List<Gpu> found = GPUS.stream()
                .filter(gpu -> !words.isEmpty() && words(gpu.name()).containsAll(words))
                .toList();
        Optional<Gpu> exact = found.stream()
                .filter(gpu -> gpu.name().equalsIgnoreCase(name.strip()))
                .findFirst()
                .or(() -> found.stream()
                        .filter(gpu -> words(gpu.name()).equals(words))
                        .findFirst());
        if (exact.isPresent()) {
            return exact.get();
        }
        if (found.size() != 1) {
            String which = found.isEmpty()
                    ? "is in no row of the catalogue; 'talaria plan --gpu all' lists them"
                    : "may be any of "
                            + String.join(", ", found.stream().map(Gpu::name).toList());
            throw new IllegalArgumentException("the GPU '" + name + "' " + which);
        }
        return found.getFirst();
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
                fields.get(0),
                Double.parseDouble(fields.get(1)),
                Double.parseDouble(fields.get(2)),
                fields.get(3),
                Memory.valueOf(fields.get(4).toUpperCase(Locale.ROOT)),
                Integer.parseInt(fields.get(5)),
                fields.get(6).equals("1"));
    }
}
