package io.talaria.cli;

import io.talaria.bench.Synthesizer;
import io.talaria.bench.SyntheticShape;
import io.talaria.model.ExpertLayout;
import io.talaria.quant.Recipe;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "synthesize",
        mixinStandardHelpOptions = true,
        description = "Writes a model of real shape with made-up weights, to measure with.")
final class SynthesizeCommand implements Callable<Integer> {
    @Parameters(paramLabel = "OUT", description = "The GGUF file to write; replaced if it is there.")
    private Path out;

    @Option(
            names = "--shape",
            paramLabel = "SHAPE",
            description = "mixtral-8x7b, mixtral-8x22b, nano, or numbers: hidden,layers,heads,kv-heads,head-dim,ffn,"
                    + "experts,used,vocabulary,context. Default: ${DEFAULT-VALUE}.")
    private String shape = "mixtral-8x7b";

    @Option(names = "--layers", paramLabel = "N", description = "So many layers instead of the shape's own.")
    private Integer layers;

    @Option(
            names = "--format",
            paramLabel = "FORMAT",
            description = "Q4_K_M, Q5_K_M, Q6_K, Q8_0, Q4_0, F16, BF16 or F32. Default: ${DEFAULT-VALUE}.")
    private String format = "Q4_K_M";

    @Option(
            names = "--expert-layout",
            paramLabel = "LAYOUT",
            description = "stacked, or split as in files made before April 2024. Default: ${DEFAULT-VALUE}.")
    private String layout = "stacked";

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        Recipe recipe = Recipe.of(format);
        if (recipe == null) {
            throw new BadArgumentException("--format " + format + ": write one of " + Recipe.names());
        }
        OutFile.check("OUT", out);
        try {
            SyntheticShape made = layers == null ? shape() : shape().withLayers(layers);
            Synthesizer.write(out, made, recipe, layout(), new Progress("Writing")::at);
        } catch (IllegalArgumentException e) {
            String flags = layers == null ? "--shape " + shape : "--shape " + shape + " --layers " + layers;
            throw new BadArgumentException(flags + ": " + e.getMessage());
        }
        long bytes = Files.size(out);
        if (json) {
            Map<String, Object> facts = new LinkedHashMap<>();
            facts.put("file", out.toString());
            facts.put("file_bytes", bytes);
            Json.print(facts);
        } else {
            System.out.println(out + ": " + Sizes.bytes(bytes));
        }
        return ExitCode.OK;
    }

    private ExpertLayout layout() {
        return switch (layout) {
            case "stacked" -> ExpertLayout.STACKED;
            case "split" -> ExpertLayout.SPLIT;
            default -> throw new BadArgumentException("--expert-layout " + layout + ": write stacked or split");
        };
    }

    private SyntheticShape shape() {
        return SyntheticShape.preset(shape).orElseGet(() -> numbers(shape));
    }

    private static SyntheticShape numbers(String text) {
        String[] words = text.split(",", -1);
        try {
            int[] n = Arrays.stream(words)
                    .mapToInt(word -> Integer.parseInt(word.strip()))
                    .toArray();
            if (n.length == 10) {
                return new SyntheticShape("own", n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9]);
            }
        } catch (NumberFormatException e) {
            // falls through to the sentence that both mistakes get
        }
        throw new BadArgumentException("--shape " + text
                + ": write mixtral-8x7b, mixtral-8x22b, nano, or ten numbers with commas (see --help)");
    }
}
