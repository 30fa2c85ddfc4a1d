package io.talaria.cli;

import io.talaria.bench.SyntheticModel;
import io.talaria.bench.SyntheticShape;
import io.talaria.model.Model;
import io.talaria.quant.Recipe;
import java.io.IOException;
import picocli.CommandLine.Option;

/** A made-up model instead of a file. */
final class SyntheticOptions {
    @Option(
            names = {"--synthetic", "--shape"},
            paramLabel = "SHAPE:FORMAT",
            description =
                    "A made-up model instead, such as nano:Q8_0 or mixtral-8x7b:Q4_K_M. Its random weights go to the"
                            + " device as they are made: there is no file, and the host needs no memory for them.")
    private String synthetic;

    @Option(names = "--layers", paramLabel = "N", description = "So many layers of the made-up model.")
    private Integer layers;

    /** Refuses a command line that names both a file and a made-up model. */
    void check(String model) {
        if (layers != null && synthetic == null) {
            throw new BadArgumentException("--layers goes with --synthetic");
        }
        if (model != null && synthetic != null) {
            throw new BadArgumentException("name either a MODEL or --synthetic SHAPE:FORMAT");
        }
    }

    boolean named() {
        return synthetic != null;
    }

    String name() {
        return layers == null ? synthetic : synthetic + ", " + layers + (layers == 1 ? " layer" : " layers");
    }

    /** Opens the made-up model. */
    Model open() throws IOException {
        String[] parts = synthetic.split(":", -1);
        SyntheticShape shape = SyntheticShape.preset(parts[0]).orElse(null);
        Recipe recipe = parts.length == 2 ? Recipe.of(parts[1]) : null;
        if (shape == null || recipe == null) {
            throw new BadArgumentException(
                    "--synthetic " + synthetic + ": write SHAPE:FORMAT, such as nano:Q8_0 or mixtral-8x7b:Q4_K_M");
        }
        try {
            return SyntheticModel.open(layers == null ? shape : shape.withLayers(layers), recipe);
        } catch (IllegalArgumentException e) {
            throw new BadArgumentException("--synthetic " + name() + ": " + e.getMessage());
        }
    }
}
