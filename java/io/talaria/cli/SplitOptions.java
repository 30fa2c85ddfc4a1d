package io.talaria.cli;

import io.talaria.model.ModelConfig;
import io.talaria.model.Placement;
import io.talaria.placement.Planner.Places;
import io.talaria.placement.Split;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import picocli.CommandLine.Option;

/** How a model is divided among devices. */
final class SplitOptions {
    @Option(
            names = "--split",
            paramLabel = "HOW",
            description =
                    "Over several devices: experts (spread over all of them, everything else on the first) or layers"
                            + " (one after the other). Default: experts.")
    private String split;

    @Option(
            names = "--placement",
            paramLabel = "FILE",
            description = "Which expert and which layer is on which device, as --placement-out writes it.")
    private Path placement;

    @Option(names = "--placement-out", paramLabel = "FILE", description = "Writes what was chosen to a file.")
    private Path out;

    private Optional<PlacementFile> file = Optional.empty();

    /** Whether a file was named. */
    boolean filesNamed() {
        return placement != null || out != null;
    }

    /** Reads the placement file, if one was named, and returns its devices. */
    List<String> read() throws IOException {
        if (out != null) {
            OutFile.check("--placement-out", out);
        }
        if (placement == null) {
            return List.of();
        }
        if (split != null) {
            throw new BadArgumentException("--split and --placement: name one of them");
        }
        file = Optional.of(PlacementFile.read(placement));
        return file.get().devices();
    }

    Places places(ModelConfig config) throws IOException {
        if (file.isPresent()) {
            return new Places.Given(file.get().placement(config));
        }
        String how = split == null ? "experts" : split.toLowerCase(Locale.ROOT);
        return new Places.By(
                switch (how) {
                    case "experts" -> Split.EXPERTS;
                    case "layers" -> Split.LAYERS;
                    case "ffn", "auto" ->
                        throw new BadArgumentException(
                                "--split " + split + ": that split is not there yet; write experts or layers");
                    default -> throw new BadArgumentException("--split " + split + ": write experts or layers");
                });
    }

    /** Writes what was chosen, if that was asked for. */
    void write(List<String> devices, Placement chosen) throws IOException {
        if (out != null) {
            PlacementFile.write(out, devices, chosen);
        }
    }
}
