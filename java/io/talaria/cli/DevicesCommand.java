package io.talaria.cli;

import io.talaria.backend.Backend;
import io.talaria.backend.Backends;
import io.talaria.backend.DeviceInfo;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(name = "devices", mixinStandardHelpOptions = true, description = "The devices here; why others are absent.")
final class DevicesCommand implements Callable<Integer> {
    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() {
        Map<String, Object> facts = facts();
        if (json) {
            Json.print(facts);
        } else {
            print(facts);
        }
        return ExitCode.OK;
    }

    /** {@code devices} and {@code absent}, as JSON has them. */
    static Map<String, Object> facts() {
        List<Map<String, Object>> devices = new ArrayList<>();
        List<Map<String, Object>> absent = new ArrayList<>();
        for (Backend backend : Backends.all()) {
            backend.unavailable().ifPresent(reason -> absent.add(absent(backend.name(), reason)));
            for (DeviceInfo info : backend.devices()) {
                Map<String, Object> entry = new LinkedHashMap<>();
                entry.put("device", info.device());
                entry.put("name", info.name());
                entry.put("memory_bytes", info.memoryBytes());
                entry.put("free_bytes", info.freeBytes());
                devices.add(entry);
            }
        }
        Backends.notBuilt().forEach(name -> absent.add(absent(name, "this build of Talaria does not have it")));
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("devices", devices);
        facts.put("absent", absent);
        return facts;
    }

    private static Map<String, Object> absent(String backend, String reason) {
        Map<String, Object> entry = new LinkedHashMap<>();
        entry.put("backend", backend);
        entry.put("reason", reason);
        return entry;
    }

    static void print(Map<String, Object> facts) {
        for (Object entry : (List<?>) facts.get("devices")) {
            Map<?, ?> device = (Map<?, ?>) entry;
            System.out.printf(
                    "%-16s %s, %s of %s free%n",
                    device.get("device"),
                    device.get("name"),
                    Sizes.bytes((Long) device.get("free_bytes")),
                    Sizes.bytes((Long) device.get("memory_bytes")));
        }
        for (Object entry : (List<?>) facts.get("absent")) {
            Map<?, ?> backend = (Map<?, ?>) entry;
            System.out.printf("%-16s absent: %s%n", backend.get("backend"), backend.get("reason"));
        }
    }
}
