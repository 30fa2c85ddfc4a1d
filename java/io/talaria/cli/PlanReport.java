package io.talaria.cli;

import io.talaria.model.Model;
import io.talaria.model.Placement;
import io.talaria.model.Placement.LayerPlace;
import io.talaria.placement.Advice;
import io.talaria.placement.Ceiling;
import io.talaria.placement.MemoryPlan;
import io.talaria.placement.MemoryPlan.Share;
import io.talaria.placement.PlanSetting;
import io.talaria.placement.Planner;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/**
 * A plan for people and programs.
 *
 * @param ceiling tokens per second
 * @param fix what to change, if it does not fit; else empty
 */
record PlanReport(
        String model,
        PlanSetting setting,
        MemoryPlan plan,
        OptionalInt largestContext,
        OptionalDouble ceiling,
        String fix) {
    static PlanReport of(Model model, Planner planner, PlanSetting setting) throws IOException {
        MemoryPlan plan = planner.plan(setting);
        return new PlanReport(
                model.name(),
                setting,
                plan,
                planner.largestContext(setting),
                Ceiling.tokensPerSecond(model, plan),
                plan.fits() ? "" : Advice.fix(planner, setting));
    }

    Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("model", model);
        facts.put("fits", plan.fits());
        List<Object> devices = new ArrayList<>();
        for (int i = 0; i < plan.shares().size(); i++) {
            Share share = plan.shares().get(i);
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("name", share.device().name());
            entry.put("weights_bytes", share.use().weights());
            entry.put("kv_bytes", share.use().kv());
            entry.put("scratch_bytes", share.use().scratch());
            entry.put("overhead_bytes", share.overheadBytes());
            entry.put("free_bytes", share.device().freeBytes());
            entry.put("layers", layers(i));
            entry.put("experts", experts(i));
            if (isDivided()) {
                entry.put("columns", columns(i));
            }
            if (dividesAttention()) {
                entry.put("kv_heads", heads(i));
            }
            devices.add(entry);
        }
        facts.put("devices", devices);
        plan.why().ifPresent(why -> facts.put("why", why));
        plan.streamedFrom().ifPresent(rows -> facts.put("streamed_from_tokens", rows));
        facts.put("kv", setting.options().kvType().name().toLowerCase(Locale.ROOT));
        facts.put("largest_context", largestContext.isPresent() ? largestContext.getAsInt() : null);
        facts.put("ceiling_tokens_per_second", ceiling.isPresent() ? ceiling.getAsDouble() : null);
        if (!plan.fits()) {
            facts.put("problem", Advice.problem(plan));
            facts.put("fix", fix);
        }
        return facts;
    }

    private long layers(int device) {
        return plan.placement().layers().stream()
                .filter(layer -> layer.home() == device)
                .count();
    }

    private long experts(int device) {
        Placement placement = plan.placement();
        return placement.layers().stream()
                .mapToLong(layer -> held(layer, device))
                .sum();
    }

    private static int held(LayerPlace layer, int device) {
        return layer.held(device).size();
    }

    private boolean isDivided() {
        return plan.placement().layers().stream().anyMatch(LayerPlace::isDivided);
    }

    /** Of all layers whose experts are divided; each has as many columns as its FFN is wide. */
    private long columns(int device) {
        return plan.placement().layers().stream()
                .filter(LayerPlace::isDivided)
                .mapToLong(layer -> layer.columns().get(device))
                .sum();
    }

    private boolean dividesAttention() {
        return plan.placement().layers().stream().anyMatch(LayerPlace::dividesAttention);
    }

    /** Of all layers whose attention is divided. */
    private long heads(int device) {
        return plan.placement().layers().stream()
                .filter(LayerPlace::dividesAttention)
                .mapToLong(layer -> layer.kvHeads().get(device))
                .sum();
    }

    /** A device's part, in words. */
    private String part(int device) {
        List<String> parts = new ArrayList<>(List.of(layers(device) + " layers"));
        if (dividesAttention()) {
            double all = IntStream.range(0, plan.shares().size())
                    .mapToLong(this::heads)
                    .sum();
            parts.set(0, String.format(Locale.ROOT, "%.1f %% of attention", 100 * heads(device) / all));
        }
        if (!plan.placement().layers().stream().allMatch(LayerPlace::isDivided)) {
            parts.add(experts(device) + " experts");
        }
        if (isDivided()) {
            double all = IntStream.range(0, plan.shares().size())
                    .mapToLong(this::columns)
                    .sum();
            parts.add(String.format(Locale.ROOT, "%.1f %% of the divided experts", 100 * columns(device) / all));
        }
        return String.join(", ", parts);
    }

    void print() {
        System.out.printf(
                "%-32s %10s %10s %10s %10s %10s %10s%n",
                "device", "weights", "KV cache", "scratch", "driver", "sum", "free");
        for (int i = 0; i < plan.shares().size(); i++) {
            Share share = plan.shares().get(i);
            System.out.printf(
                    "%-32s %10s %10s %10s %10s %10s %10s  %s%n",
                    share.device().name(),
                    Sizes.bytes(share.use().weights()),
                    Sizes.bytes(share.use().kv()),
                    Sizes.bytes(share.use().scratch()),
                    Sizes.bytes(share.overheadBytes()),
                    Sizes.bytes(share.bytes()),
                    Sizes.bytes(share.device().freeBytes()),
                    part(i));
        }
        plan.why().ifPresent(System.out::println);
        plan.streamedFrom()
                .ifPresent(rows -> System.out.printf(
                        "Of prompts, batches of %d tokens and more have the cpu's experts streamed to the device beside it.%n",
                        rows));
        System.out.println(plan.fits() ? "It fits." : "It does not fit: " + Advice.problem(plan) + "; " + fix + ".");
        if (largestContext.isPresent()) {
            System.out.printf("The largest context that fits has %,d tokens.%n", largestContext.getAsInt());
        }
        if (ceiling.isPresent()) {
            System.out.printf(
                    "At most %.1f tokens per second, by the bandwidth of the memory.%n", ceiling.getAsDouble());
        }
    }
}
