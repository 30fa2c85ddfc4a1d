package io.talaria.cli;

import io.talaria.backend.Backend;
import io.talaria.backend.Backends;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
        name = "doctor",
        mixinStandardHelpOptions = true,
        description = "What is here: Java, system, devices, and why a backend is absent.")
final class DoctorCommand implements Callable<Integer> {
    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() {
        Map<String, Object> facts = facts();
        Map<String, Object> devices = DevicesCommand.facts();
        if (json) {
            facts.putAll(devices);
            Json.print(facts);
        } else {
            facts.forEach((name, value) -> System.out.printf("%-16s %s%n", label(name), readable(value)));
            DevicesCommand.print(devices);
        }
        return ExitCode.OK;
    }

    private static Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("java", System.getProperty("java.version") + ", " + System.getProperty("java.home"));
        facts.put("system", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
        facts.put("threads", Runtime.getRuntime().availableProcessors());
        facts.put("java_heap_bytes", Runtime.getRuntime().maxMemory());
        facts.put("huge_pages", Machine.hugePages());
        for (Backend backend : Backends.all()) {
            backend.library().ifPresent(path -> facts.put(backend.name() + "_library", path.toString()));
        }
        return facts;
    }

    private static String label(String name) {
        return name.replace("_bytes", "").replace('_', ' ');
    }

    private static Object readable(Object value) {
        return value instanceof Long bytes ? Sizes.bytes(bytes) + " at most" : value;
    }
}
