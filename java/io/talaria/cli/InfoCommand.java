package io.talaria.cli;

import io.talaria.model.Model;
import io.talaria.model.ModelConfig;
import io.talaria.model.ModelSummary;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(name = "info", mixinStandardHelpOptions = true, description = "What a model file holds.")
final class InfoCommand implements Callable<Integer> {
    @Parameters(
            paramLabel = "MODEL",
            arity = "0..1",
            description = "Path of a GGUF file. Default: the small model that ships with Talaria.")
    private String model;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        try (Model opened = ModelPath.openOrDefault(model)) {
            Map<String, Object> facts = facts(opened);
            if (json) {
                Json.print(facts);
            } else {
                print(facts);
            }
        }
        return ExitCode.OK;
    }

    private static Map<String, Object> facts(Model model) throws IOException {
        ModelSummary summary = ModelSummary.of(model);
        ModelConfig config = model.config();
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put(
                "architecture",
                model.file().metadata().string("general.architecture").orElseThrow());
        facts.put("name", model.file().metadata().string("general.name").orElse(""));
        facts.put("gguf_version", model.file().version());
        facts.put("files", model.file().paths().size());
        facts.put("file_bytes", model.file().fileBytes());
        facts.put("parameters", summary.parameters());
        facts.put("active_parameters", summary.activeParameters());
        facts.put("weight_bytes", summary.weightBytes());
        facts.put("bytes_per_token", summary.bytesPerToken());
        facts.put("expert_layout", model.layout().name().toLowerCase(Locale.ROOT));
        facts.put("layers", config.layers());
        facts.put("hidden", config.hidden());
        facts.put("heads", config.heads());
        facts.put("kv_heads", config.kvHeads());
        facts.put("head_dim", config.headDim());
        facts.put("ffn", config.ffn());
        facts.put("experts", config.experts());
        facts.put("experts_used", config.expertsUsed());
        facts.put("vocabulary", config.vocabulary());
        facts.put("context", config.context());
        facts.put("rope_base", config.ropeBase());
        facts.put("kv_bytes_per_token", 2L * 2 * config.layers() * config.kvWidth());
        Map<String, Integer> types = new LinkedHashMap<>();
        summary.tensorTypes().forEach((type, count) -> types.put(type.name(), count));
        facts.put("tensor_types", types);
        return facts;
    }

    private static void print(Map<String, Object> facts) {
        facts.forEach((name, value) -> System.out.printf("%-20s %s%n", name.replace('_', ' '), readable(name, value)));
    }

    private static String readable(String name, Object value) {
        if (value instanceof Map<?, ?> types) {
            return types.entrySet().stream()
                    .map(entry -> entry.getValue() + " " + entry.getKey())
                    .collect(Collectors.joining(", "));
        }
        if (value instanceof Long number) {
            return name.contains("bytes") ? Sizes.bytes(number) : Sizes.count(number);
        }
        return value.toString().replaceAll("\\p{Cntrl}", "?");
    }
}
