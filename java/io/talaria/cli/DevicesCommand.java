package io.talaria.cli;

import io.talaria.backend.Backend;
import io.talaria.backend.Backends;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.GpuProbe;
import io.talaria.backend.GpuState;
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
        List<GpuState> gpus = GpuProbe.all();
        for (Backend backend : Backends.all()) {
            backend.unavailable().ifPresent(reason -> absent.add(absent(backend.name(), reason)));
            for (DeviceInfo info : backend.devices()) {
                Map<String, Object> entry = new LinkedHashMap<>();
                entry.put("device", info.device());
                entry.put("name", info.name());
                entry.put("memory_bytes", info.memoryBytes());
                entry.put("free_bytes", info.freeBytes());
                gpus.stream().filter(gpu -> same(gpu, info)).findFirst().ifPresent(gpu -> putState(entry, gpu));
                devices.add(entry);
            }
        }
        Backends.notBuilt().forEach(name -> absent.add(absent(name, "this build of Talaria does not have it")));
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("devices", devices);
        facts.put("absent", absent);
        facts.put("gpus", gpus.stream().map(DevicesCommand::facts).toList());
        return facts;
    }

    /** Whether the driver and a backend speak of one GPU. Environment variables may number a backend's in another way. */
    private static boolean same(GpuState gpu, DeviceInfo info) {
        return info.device().equals("cuda:" + gpu.index()) && info.name().startsWith(gpu.name());
    }

    private static Map<String, Object> facts(GpuState gpu) {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("gpu", gpu.index());
        facts.put("name", gpu.name());
        facts.put("memory_bytes", gpu.memoryBytes());
        putState(facts, gpu);
        return facts;
    }

    private static void putState(Map<String, Object> facts, GpuState gpu) {
        facts.put("free_bytes", gpu.freeBytes());
        facts.put("mhz", gpu.megahertz());
        facts.put("memory_mhz", gpu.memoryMegahertz());
        facts.put("nominal_bandwidth_gb_s", gpu.bandwidth());
        facts.put("watts", gpu.watts());
        facts.put("watts_limit", gpu.wattsLimit());
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
        for (Object entry : (List<?>) facts.get("gpus")) {
            Map<?, ?> gpu = (Map<?, ?>) entry;
            System.out.printf(
                    "%-16s %s, %s of %s free, %s MHz, memory %s MHz (%.0f GB/s at most), %.0f W%s%n",
                    "driver's gpu " + gpu.get("gpu"),
                    gpu.get("name"),
                    Sizes.bytes((Long) gpu.get("free_bytes")),
                    Sizes.bytes((Long) gpu.get("memory_bytes")),
                    gpu.get("mhz"),
                    gpu.get("memory_mhz"),
                    gpu.get("nominal_bandwidth_gb_s"),
                    gpu.get("watts"),
                    (Double) gpu.get("watts_limit") > 0 ? " of %.0f".formatted(gpu.get("watts_limit")) : "");
        }
    }
}
