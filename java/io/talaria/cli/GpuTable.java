package io.talaria.cli;

import io.talaria.placement.GpuCatalogue.Gpu;
import io.talaria.placement.MemoryPlan.Share;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToLongFunction;

/** The cards of the catalogue and the formats of the model, beside what the model's page claims of them. */
final class GpuTable {
    private static final String CLAIM = "runs Q4_K_M";

    private final List<Row> rows = new ArrayList<>();
    private final List<Format> formats = new ArrayList<>();

    private record Row(Gpu card, PlanReport report) {
        long sum(ToLongFunction<Share> bytes) {
            return report.plan().shares().stream().mapToLong(bytes).sum();
        }
    }

    private record Format(String name, double claimedGigabytes, long weights, long needed) {}

    void add(Gpu card, PlanReport report) {
        rows.add(new Row(card, report));
    }

    /** @param claimedGigabytes what the page says that the format requires */
    void addFormat(String name, double claimedGigabytes, Share share) {
        formats.add(new Format(name, claimedGigabytes, share.use().weights(), share.bytes()));
    }

    Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("gpus", rows.stream().map(GpuTable::facts).toList());
        facts.put("formats", formats.stream().map(GpuTable::facts).toList());
        return facts;
    }

    private static Map<String, Object> facts(Row row) {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("gpu", row.card().name());
        facts.put("claimed", row.card().claimed());
        facts.putAll(row.report().facts());
        return facts;
    }

    private static Map<String, Object> facts(Format format) {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("format", format.name());
        facts.put("claimed_bytes", Math.round(format.claimedGigabytes() * 1e9));
        facts.put("weights_bytes", format.weights());
        facts.put("needed_bytes", format.needed());
        return facts;
    }

    void print() {
        System.out.printf(
                "%-40s %9s %9s %9s  %-4s %8s %9s  %s%n",
                "GPU", "usable", "KV cache", "needed", "fits", "context", "tokens/s", "the model's page says");
        for (Row row : rows) {
            PlanReport report = row.report();
            System.out.printf(
                    "%-40s %9s %9s %9s  %-4s %8s %9s  %s%n",
                    row.card().name()
                            + (row.card().devices() > 1 ? ", " + row.card().devices() + " devices" : ""),
                    Sizes.bytes(row.sum(share -> share.device().freeBytes())),
                    Sizes.bytes(row.sum(share -> share.use().kv())),
                    Sizes.bytes(row.sum(Share::bytes)),
                    report.plan().fits() ? "yes" : "no",
                    report.largestContext().isPresent()
                            ? report.largestContext().getAsInt()
                            : "-",
                    report.ceiling().isPresent()
                            ? "%.0f".formatted(report.ceiling().getAsDouble())
                            : "-",
                    row.card().claimed() ? CLAIM : "-");
        }
        System.out.printf("%n%-40s %9s %9s  %s%n", "format", "weights", "needed", "the model's page says");
        for (Format format : formats) {
            System.out.printf(
                    "%-40s %9s %9s  %.1f GB%n",
                    format.name(),
                    Sizes.bytes(format.weights()),
                    Sizes.bytes(format.needed()),
                    format.claimedGigabytes());
        }
    }
}
