package io.talaria.cli;

import io.talaria.convert.Converter;
import io.talaria.quant.Recipe;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "convert",
        mixinStandardHelpOptions = true,
        description = "Writes a GGUF file of a Mixtral in a Hugging Face folder.")
final class ConvertCommand implements Callable<Integer> {
    @Parameters(
            index = "0",
            paramLabel = "FOLDER",
            description = "Has config.json, model.safetensors or its shards, and tokenizer.model.")
    private Path folder;

    @Parameters(index = "1", paramLabel = "OUT", description = "The GGUF file to write; replaced if it is there.")
    private Path out;

    @Option(
            names = "--type",
            paramLabel = "TYPE",
            description =
                    "F32, BF16, F16 or a quantised one (see 'talaria quantize --help'). Default: as in the folder.")
    private String type;

    @Option(names = "--threads", paramLabel = "N", description = "How many encode. Default: as many as processors.")
    private Integer threads;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        Recipe recipe = type == null ? null : Recipe.of(type);
        if (type != null && recipe == null) {
            throw new BadArgumentException("--type " + type + ": write one of " + Recipe.names());
        }
        int encoders = Threads.checked(threads);
        OutFile.check("OUT", out);
        try (Converter converter = Converter.open(folder, recipe)) {
            OutFile.checkOther("OUT", out, converter.inputs());
            converter.write(out, encoders, new Progress("Writing")::at);
            report(converter);
        }
        return ExitCode.OK;
    }

    private void report(Converter converter) throws IOException {
        long bytes = Files.size(out);
        for (String note : converter.notes()) {
            System.err.println("Note: " + note + ".");
        }
        if (json) {
            Map<String, Object> facts = new LinkedHashMap<>();
            facts.put("file", out.toString());
            facts.put("file_bytes", bytes);
            facts.put("type", converter.recipe().name());
            facts.put("notes", converter.notes());
            Json.print(facts);
        } else {
            System.out.println(out + ": " + Sizes.bytes(bytes) + " in " + converter.recipe());
        }
    }
}
