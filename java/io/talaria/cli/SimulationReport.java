package io.talaria.cli;

import io.talaria.placement.LinkProbe;
import io.talaria.placement.Simulation;
import io.talaria.placement.Simulation.Time;
import io.talaria.placement.Strategy;
import io.talaria.placement.Strategy.Kind;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * A simulation for people and programs.
 *
 * @param prompt tokens that are read at once
 * @param says what was assumed, in sentences
 */
record SimulationReport(String model, List<Row> rows, int prompt, Speeds speeds, List<String> says) {
    /** Times are as if everything fitted; empty if there is no such placement, or nobody knows. */
    private record Row(Strategy strategy, Optional<Time> token, Optional<Time> reading) {
        boolean possible() {
            return strategy.problem().isEmpty();
        }

        /** What the command line has for it; empty if it is not there. */
        Optional<String> option() {
            return switch (strategy.kind()) {
                case SPLIT -> Optional.of("--split " + strategy.name());
                case FILE -> Optional.of("--placement-out");
                case ALONE, ESTIMATE -> Optional.empty();
            };
        }

        String note() {
            if (!possible()) {
                return "no room: " + strategy.problem().get();
            }
            return strategy.kind() == Kind.ESTIMATE ? "not there yet" : option().orElse("");
        }
    }

    static SimulationReport of(
            String model,
            Simulation simulation,
            List<Strategy> strategies,
            int prompt,
            int depth,
            Speeds speeds,
            List<String> says) {
        List<Row> rows = strategies.stream()
                .map(strategy -> new Row(
                        strategy,
                        strategy.layout().map(layout -> simulation.token(layout, depth)),
                        strategy.layout().flatMap(layout -> simulation.prompt(layout, prompt))))
                .toList();
        List<String> all = new ArrayList<>(says);
        all.add("a token is written behind " + depth + " others; a prompt of " + prompt + " is read in one batch");
        boolean computed = rows.stream().anyMatch(row -> row.reading().isPresent());
        all.add(
                computed
                        ? "reading takes 2 operations per weight and token, at the share of --tflops that is given; devices"
                                + " work at the same time within a layer, in batches of 256 tokens and more on one half while the other"
                                + " travels, and layers on different devices on pieces of 128 tokens that follow one"
                                + " another"
                        : "reading is not estimated: --tflops says what the devices are built for");
        all.add("devices that work at the same time do not slow one another; rows of prompts in halves are copied by a"
                + " second queue of GPUs, and by others instead of computing");
        return new SimulationReport(model, rows, prompt, speeds, all);
    }

    /** How much faster than the fastest device alone on which the model fits; empty if there is none. */
    private Optional<Double> speedup(Optional<Time> time, Function<Row, Optional<Time>> of) {
        Optional<Double> alone = rows.stream()
                .filter(row -> row.strategy().kind() == Kind.ALONE && row.possible())
                .flatMap(row -> of.apply(row).stream())
                .map(Time::total)
                .min(Double::compare);
        return time.flatMap(taken -> alone.map(best -> best / taken.total()));
    }

    Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("model", model);
        facts.put("simulated", true);
        facts.put(
                "devices",
                speeds.workers().stream().map(worker -> worker.name()).toList());
        Map<String, Object> link = new LinkedHashMap<>();
        link.put("name", speeds.costs().link().name());
        link.put("gb_s", speeds.costs().link().gigabytesPerSecond());
        link.put("microseconds", speeds.costs().link().microseconds());
        facts.put("link", link);
        speeds.probe().ifPresent(probe -> facts.put("measured", measured(probe)));
        facts.put("strategies", rows.stream().map(this::facts).toList());
        facts.put("assumptions", says);
        return facts;
    }

    private static Map<String, Object> measured(LinkProbe.Result probe) {
        Map<String, Object> measured = new LinkedHashMap<>();
        measured.put(
                "there_and_back",
                probe.trips().stream()
                        .map(trip -> Map.of(
                                "bytes", trip.bytes(),
                                "microseconds", trip.microseconds(),
                                "gb_s", trip.gigabytesPerSecond()))
                        .toList());
        measured.put("step_microseconds", probe.stepMicroseconds());
        return measured;
    }

    private Map<String, Object> facts(Row row) {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("name", row.strategy().name());
        facts.put("option", row.option().orElse(null));
        facts.put("fits", row.possible());
        facts.put("problem", row.strategy().problem().orElse(null));
        facts.put(
                "decode_tokens_per_second",
                row.token().map(time -> 1 / time.total()).orElse(null));
        facts.put("decode_speedup", speedup(row.token(), Row::token).orElse(null));
        facts.put("read_ms", row.token().map(time -> time.work() * 1e3).orElse(null));
        facts.put("link_ms", row.token().map(time -> time.link() * 1e3).orElse(null));
        facts.put("overhead_ms", row.token().map(time -> time.overhead() * 1e3).orElse(null));
        facts.put(
                "prefill_tokens_per_second",
                row.reading().map(time -> prompt / time.total()).orElse(null));
        facts.put("prefill_speedup", speedup(row.reading(), Row::reading).orElse(null));
        return facts;
    }

    void print() {
        System.out.println(model + " on " + devices() + ": simulated, not measured");
        speeds.probe().ifPresent(SimulationReport::print);
        table("%-44s %9s %6s %8s %8s %8s %9s %6s  %s%n");
        System.out.println("assumed:");
        says.forEach(sentence -> System.out.println("- " + sentence));
    }

    void printMarkdown() {
        table("| %s | %s | %s | %s | %s | %s | %s | %s | %s |%n");
    }

    private String devices() {
        return String.join(
                ", ", speeds.workers().stream().map(worker -> worker.name()).toList());
    }

    private static void print(LinkProbe.Result probe) {
        for (LinkProbe.Trip trip : probe.trips()) {
            System.out.printf(
                    "%s there and back: %.1f us, %.2f GB/s in each direction%n",
                    Sizes.bytes(trip.bytes()), trip.microseconds(), trip.gigabytesPerSecond());
        }
        System.out.printf("a step of one small verb: %.1f us%n", probe.stepMicroseconds());
    }

    private void table(String format) {
        System.out.printf(
                format, "placement", "writing/s", "times", "read ms", "link ms", "begin ms", "reading/s", "times", "");
        if (format.startsWith("|")) {
            System.out.println("|---|---|---|---|---|---|---|---|---|");
        }
        for (Row row : rows) {
            System.out.printf(
                    format,
                    row.strategy().name(),
                    number("%.1f", row.token().map(time -> 1 / time.total())),
                    number("%.2f", speedup(row.token(), Row::token)),
                    number("%.2f", row.token().map(time -> time.work() * 1e3)),
                    number("%.2f", row.token().map(time -> time.link() * 1e3)),
                    number("%.2f", row.token().map(time -> time.overhead() * 1e3)),
                    number("%.0f", row.reading().map(time -> prompt / time.total())),
                    number("%.2f", speedup(row.reading(), Row::reading)),
                    row.note());
        }
    }

    private static String number(String format, Optional<Double> value) {
        return value.map(number -> String.format(Locale.ROOT, format, number)).orElse("-");
    }
}
