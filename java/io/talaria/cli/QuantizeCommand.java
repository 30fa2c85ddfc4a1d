package io.talaria.cli;

import io.talaria.convert.Quantizer;
import io.talaria.convert.Quantizer.Written;
import io.talaria.convert.TypeOverride;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "quantize",
        mixinStandardHelpOptions = true,
        description = "Writes a GGUF model in another type.",
        footer = {
            "",
            "TYPE is Q4_K_M, Q5_K_M, Q6_K, Q8_0, Q4_0, F16, BF16 or F32; Q4_K and Q5_K are short for the first two.",
            "As is usual for mixtures of experts, attention k and v are Q8_0 in all quantised types, the output is",
            "Q6_K except in Q8_0, and the _M types have more bits in some tensors; norms and routers are F32.",
            "Rows that do not fill blocks of 256 values are written in Q8_0, or in F16 where 32 are too many too."
        })
final class QuantizeCommand implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "IN", description = "A GGUF file; of a model in shards, the first one's.")
    private Path in;

    @Parameters(index = "1", paramLabel = "OUT", description = "The GGUF file to write; replaced if it is there.")
    private Path out;

    @Option(names = "--type", paramLabel = "TYPE", description = "What to write. Default: ${DEFAULT-VALUE}.")
    private String type = "Q4_K_M";

    @Option(
            names = "--tensor-type",
            paramLabel = "PATTERN=TYPE",
            description = "Another type for tensors whose names have the regular expression PATTERN in them, such as"
                    + " ffn_down=Q6_K; may be repeated, the last that fits counts.")
    private List<String> tensorTypes = new ArrayList<>();

    @Option(
            names = "--stack-experts",
            description = "Experts that are one tensor each become one tensor per layer, which newer programs need."
                    + " Default: they stay as they are.")
    private boolean stack;

    @Option(names = "--threads", paramLabel = "N", description = "How many encode. Default: as many as processors.")
    private Integer threads;

    @Option(names = "--errors", description = "Also every tensor's error, which takes decoding what was written.")
    private boolean errors;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        Recipe recipe = Recipe.of(type);
        if (recipe == null) {
            throw new BadArgumentException("--type " + type + ": write one of " + Recipe.names());
        }
        List<TypeOverride> overrides =
                tensorTypes.stream().map(QuantizeCommand::override).toList();
        int encoders = Threads.checked(threads);
        OutFile.check("OUT", out);
        try (Quantizer quantizer = Quantizer.open(in, recipe, overrides)) {
            OutFile.checkOther("OUT", out, quantizer.inputs());
            quantizer.write(out, stack, encoders, errors, new Progress("Writing")::at);
            quantizer.notes().forEach(note -> System.err.println("Note: " + note + "."));
            report(quantizer, recipe);
        }
        return ExitCode.OK;
    }

    private static TypeOverride override(String text) {
        int equals = text.lastIndexOf('=');
        try {
            TensorType wanted = TensorType.valueOf(text.substring(equals + 1).toUpperCase(Locale.ROOT));
            return new TypeOverride(Pattern.compile(text.substring(0, Math.max(0, equals))), wanted);
        } catch (PatternSyntaxException e) {
            throw new BadArgumentException("--tensor-type " + text + ": no regular expression: " + e.getDescription());
        } catch (IllegalArgumentException e) {
            throw new BadArgumentException(
                    "--tensor-type " + text + ": write PATTERN=TYPE with one of F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K,"
                            + " Q6_K, such as ffn_down=Q6_K");
        }
    }

    private void report(Quantizer quantizer, Recipe recipe) throws IOException {
        List<Written> tensors = quantizer.written();
        long elements = tensors.stream().mapToLong(Written::elements).sum();
        long bytes = tensors.stream().mapToLong(Written::bytes).sum();
        double bits = 8.0 * bytes / elements;
        long before = 0;
        for (Path path : quantizer.inputs()) {
            before += Files.size(path);
        }
        long after = Files.size(out);
        if (json) {
            Map<String, Object> facts = new LinkedHashMap<>();
            facts.put("file", out.toString());
            facts.put("type", recipe.name());
            facts.put("input_bytes", before);
            facts.put("file_bytes", after);
            facts.put("weight_bytes", bytes);
            facts.put("parameters", elements);
            facts.put("bits_per_weight", bits);
            facts.put("notes", quantizer.notes());
            if (errors) {
                facts.put(
                        "tensors", tensors.stream().map(QuantizeCommand::facts).toList());
            }
            Json.print(facts);
            return;
        }
        if (errors) {
            System.out.printf("%-36s %-8s %-6s %10s %12s%n", "tensor", "from", "to", "nmse", "largest");
            for (Written tensor : tensors) {
                System.out.printf(
                        "%-36s %-8s %-6s %10.3e %12.3e%n",
                        tensor.name(), tensor.from(), tensor.type(), tensor.error(), tensor.largest());
            }
        }
        System.out.printf(
                "%s: %s in %s, %.2f bits per weight; before %s%n",
                out, Sizes.bytes(after), recipe, bits, Sizes.bytes(before));
    }

    private static Map<String, Object> facts(Written tensor) {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("name", tensor.name());
        facts.put("from", tensor.from());
        facts.put("type", tensor.type().name());
        facts.put("bytes", tensor.bytes());
        facts.put("nmse", tensor.error());
        facts.put("largest_error", tensor.largest());
        return facts;
    }
}
