package io.talaria.bench;

import io.talaria.backend.Activations;
import io.talaria.backend.OpenOptions;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.model.ModelConfig;
import io.talaria.placement.Deployment;
import io.talaria.placement.PlanSetting;
import io.talaria.placement.Planner;
import io.talaria.placement.Split;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * A program that loads a model and prints what that took: {@code open_seconds=… load_seconds=… file_bytes=… kv_bytes=…
 * resident_bytes=… before_bytes=… planned_bytes=… allocated_bytes=…}. In a process of its own, because memory is a process's; ci/load-bench.sh and LoadMemoryTest run it.
 */
final class LoadProbe {
    private static final int POSITIONS = 4096;

    private LoadProbe() {}

    /** Arguments: the path of a GGUF file, and the device's name. */
    public static void main(String[] args) throws IOException {
        long begin = System.nanoTime();
        DecoderOptions options =
                DecoderOptions.of(Activations.INT8, TensorType.F16, DecoderOptions.blocksFor(POSITIONS), 1);
        PlanSetting setting = new PlanSetting(options, Bench::prepare, Optional.empty());
        try (Model model = Model.open(Path.of(args[0]))) {
            long before = residentBytes();
            long opened = System.nanoTime();
            try (Deployment deployment = Deployment.open(
                    model,
                    List.of(args[1]),
                    OpenOptions.DEFAULT,
                    new Planner.Places.By(Split.EXPERTS),
                    setting,
                    LoadProgress.NONE)) {
                long loaded = System.nanoTime();
                ModelConfig config = model.config();
                long kvBytes =
                        2L * config.layers() * POSITIONS * options.kvType().bytes(config.kvWidth());
                System.out.printf(
                        Locale.ROOT,
                        "open_seconds=%.3f load_seconds=%.3f file_bytes=%d kv_bytes=%d resident_bytes=%d"
                                + " before_bytes=%d planned_bytes=%d allocated_bytes=%d%n",
                        (opened - begin) / 1e9,
                        (loaded - opened) / 1e9,
                        model.file().fileBytes(),
                        kvBytes,
                        residentBytes(),
                        before,
                        deployment.plan().orElseThrow().shares().getFirst().bytes(),
                        deployment.devices().getFirst().memory().total());
            }
        }
    }

    /** Memory of this process that is in RAM, as Linux states it; -1 elsewhere. */
    private static long residentBytes() throws IOException {
        Path status = Path.of("/proc/self/status");
        List<String> lines = Files.exists(status) ? Files.readAllLines(status) : List.of();
        return lines.stream()
                .filter(line -> line.startsWith("VmRSS:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
                .findFirst()
                .orElse(-1);
    }
}
