package io.talaria.cli;

import io.talaria.backend.DeviceInfo;
import io.talaria.bench.Bench;
import io.talaria.bench.OpBench;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;

/**
 * What {@code bench} has measured, and how it is printed.
 *
 * @param model what was measured
 * @param bandwidth that the device reads, in 10^9 bytes per second; empty if it does not measure that
 * @param nominal what its memory was built for, if that is known
 * @param shares of use, per expert
 */
record BenchReport(
        String model,
        DeviceInfo device,
        OptionalDouble bandwidth,
        OptionalDouble nominal,
        List<Bench.Result> results,
        double[] shares,
        Optional<OpBench.Ops> ops) {
    /** What plain reads of a GPU should get at least. */
    private static final double LEAST_OF_NOMINAL = 0.85;

    void printText() {
        System.out.println(head());
        for (Bench.Result result : results) {
            String rates = format(
                    "%-16s %9.2f tokens/s ± %-8.2f %7.2f GB/s",
                    result.test(), result.median(), result.deviation(), result.gigabytesPerSecond());
            System.out.println(rates + share(result.gigabytesPerSecond(), ", %3.0f %% of the bandwidth"));
        }
        System.out.println("experts used, %  "
                + DoubleStream.of(shares)
                        .mapToObj(share -> format("%.1f", 100 * share))
                        .collect(Collectors.joining(" ")));
        ops.ifPresent(measured -> {
            System.out.println("verb, one token    µs in all layers  of all      GB/s  of the bandwidth");
            for (OpBench.Op op : measured.ops()) {
                String time = format(
                        "%-18s %16.1f %5.1f %%",
                        op.verb(), op.microseconds(), 100 * op.microseconds() / measured.sum());
                String rate = op.bytes() == 0
                        ? ""
                        : format(" %9.1f", op.gigabytesPerSecond()) + share(op.gigabytesPerSecond(), " %15.0f %%");
                System.out.println(time + rate);
            }
            System.out.println(format(
                    "all verbs          %16.1f; the whole token %.1f", measured.sum(), measured.tokenMicroseconds()));
        });
    }

    private String head() {
        String reads = device.device() + " (" + device.name() + ") "
                + (bandwidth.isPresent()
                        ? format("reads %.1f GB/s", bandwidth.getAsDouble())
                        : "does not measure reads");
        if (nominal.isEmpty()) {
            return reads + "; nominal: unknown";
        }
        return reads
                + format("; nominal: %.1f GB/s", nominal.getAsDouble())
                + (bandwidth.isEmpty()
                        ? ""
                        : format(
                                ", of which that is %.0f %%",
                                100 * nominalShare().getAsDouble()));
    }

    /** A word on a GPU whose memory is read too slowly; processors seldom reach what their modules were built for. */
    Optional<String> warning() {
        if (device.device().startsWith("cpu") || nominalShare().orElse(1) >= LEAST_OF_NOMINAL) {
            return Optional.empty();
        }
        return Optional.of(format(
                "plain reads get only %.0f %% of the nominal bandwidth, so shares of the measured one look too good; is"
                        + " something else running, or are the clocks low?",
                100 * nominalShare().getAsDouble()));
    }

    /** The share of the nominal bandwidth that plain reads get. */
    private OptionalDouble nominalShare() {
        return bandwidth.isEmpty() || nominal.isEmpty()
                ? OptionalDouble.empty()
                : OptionalDouble.of(bandwidth.getAsDouble() / nominal.getAsDouble());
    }

    void printCsv() {
        System.out.println("test,tokens_per_second,stddev,gb_s,bandwidth_fraction");
        for (Bench.Result result : results) {
            System.out.println(format(
                            "%s,%.2f,%.2f,%.2f,",
                            result.test(), result.median(), result.deviation(), result.gigabytesPerSecond())
                    + fraction(result.gigabytesPerSecond(), "%.3f"));
        }
        ops.ifPresent(measured -> {
            System.out.println("\nop,microseconds,gb_s,bandwidth_fraction");
            for (OpBench.Op op : measured.ops()) {
                String rate = op.bytes() == 0
                        ? ","
                        : format("%.2f,", op.gigabytesPerSecond()) + fraction(op.gigabytesPerSecond(), "%.3f");
                System.out.println(format("%s,%.2f,", op.verb(), op.microseconds()) + rate);
            }
        });
    }

    void printMarkdown() {
        System.out.println("| test | tokens/s | GB/s | of measured bandwidth |\n|---|---|---|---|");
        for (Bench.Result result : results) {
            String rates = format(
                    "| %s | %.2f ± %.2f | %.2f |",
                    result.test(), result.median(), result.deviation(), result.gigabytesPerSecond());
            System.out.println(rates + share(result.gigabytesPerSecond(), " %.0f %%") + " |");
        }
        ops.ifPresent(measured -> {
            System.out.println("\n| verb | µs per token | GB/s | of measured bandwidth |\n|---|---|---|---|");
            for (OpBench.Op op : measured.ops()) {
                String rate = op.bytes() == 0
                        ? " |"
                        : format(" %.1f |", op.gigabytesPerSecond()) + share(op.gigabytesPerSecond(), " %.0f %%");
                System.out.println(format("| %s | %.1f |", op.verb(), op.microseconds()) + rate + " |");
            }
        });
    }

    private String share(double rate, String format) {
        return bandwidth.isEmpty() ? "" : format(format, 100 * rate / bandwidth.getAsDouble());
    }

    private String fraction(double rate, String format) {
        return bandwidth.isEmpty() ? "" : format(format, rate / bandwidth.getAsDouble());
    }

    void printJson() {
        List<Map<String, Object>> tests = new ArrayList<>();
        for (Bench.Result result : results) {
            Map<String, Object> test = new LinkedHashMap<>();
            test.put("test", result.test());
            test.put("tokens_per_second", result.median());
            test.put("stddev", result.deviation());
            putRate(test, result.gigabytesPerSecond());
            tests.add(test);
        }
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("model", model);
        facts.put("device", device.device());
        facts.put("name", device.name());
        facts.put("read_bandwidth_gb_s", orNull(bandwidth));
        facts.put("nominal_bandwidth_gb_s", orNull(nominal));
        facts.put("expert_shares", shares);
        facts.put("tests", tests);
        ops.ifPresent(measured -> {
            facts.put("ops", measured.ops().stream().map(this::facts).toList());
            facts.put("token_microseconds", measured.tokenMicroseconds());
        });
        Json.print(facts);
    }

    private Map<String, Object> facts(OpBench.Op op) {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("op", op.verb().toString());
        facts.put("microseconds", op.microseconds());
        facts.put("bytes", op.bytes());
        if (op.bytes() > 0) {
            putRate(facts, op.gigabytesPerSecond());
        } else {
            facts.put("gb_s", null);
            facts.put("bandwidth_fraction", null);
        }
        return facts;
    }

    private void putRate(Map<String, Object> facts, double rate) {
        facts.put("gb_s", rate);
        facts.put("bandwidth_fraction", bandwidth.isEmpty() ? null : rate / bandwidth.getAsDouble());
    }

    private static Double orNull(OptionalDouble value) {
        return value.isPresent() ? value.getAsDouble() : null;
    }

    private static String format(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
