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
        List<Map<String, Object>> devices = new ArrayList<>();
        List<Map<String, Object>> absent = new ArrayList<>();
        for (Backend backend : Backends.all()) {
            backend.unavailable().ifPresent(reason -> {
                Map<String, Object> entry = new LinkedHashMap<>();
                entry.put("backend", backend.name());
                entry.put("reason", reason);
                absent.add(entry);
            });
            for (DeviceInfo info : backend.devices()) {
                Map<String, Object> entry = new LinkedHashMap<>();
                entry.put("device", info.device());
                entry.put("name", info.name());
                entry.put("memory_bytes", info.memoryBytes());
                entry.put("free_bytes", info.freeBytes());
                devices.add(entry);
            }
        }
        if (json) {
            Map<String, Object> all = new LinkedHashMap<>();
            all.put("devices", devices);
            all.put("absent", absent);
            Json.print(all);
        } else {
            devices.forEach(DevicesCommand::printDevice);
            absent.forEach(entry -> System.out.printf("%-12s absent: %s%n", entry.get("backend"), entry.get("reason")));
        }
        return ExitCode.OK;
    }

    private static void printDevice(Map<String, Object> entry) {
        System.out.printf(
                "%-12s %s, %s of %s free%n",
                entry.get("device"), entry.get("name"), Sizes.bytes((Long) entry.get("free_bytes")), Sizes.bytes((Long)
                        entry.get("memory_bytes")));
    }
}
