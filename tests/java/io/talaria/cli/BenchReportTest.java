package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.DeviceInfo;
import io.talaria.bench.Bench;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

/** What is said of a device's bandwidth. */
class BenchReportTest {
    private static BenchReport report(String device, double measured, double nominal) {
        return new BenchReport(
                "nano:Q8_0",
                new DeviceInfo(device, "Test", 1, 1, 32),
                measured == 0 ? OptionalDouble.empty() : OptionalDouble.of(measured),
                nominal == 0 ? OptionalDouble.empty() : OptionalDouble.of(nominal),
                List.of(new Bench.Result("tg1", List.of(100.0), 4e9)),
                new double[] {0.5, 0.5},
                Optional.empty());
    }

    private static String text(BenchReport report) {
        return Captured.of(() -> {
                    report.printText();
                    return 0;
                })
                .out();
    }

    @Test
    void slowReadsOfAGpuAreWarnedOf() {
        assertEquals(Optional.empty(), report("cuda:0", 850, 1000).warning());
        String warning = report("cuda:0", 840, 1000).warning().orElseThrow();
        assertTrue(warning.contains("only 84 % of the nominal bandwidth"), warning);
        assertEquals(Optional.empty(), report("cpu:0", 100, 1000).warning());
        assertEquals(Optional.empty(), report("cuda:0", 100, 0).warning());
        assertEquals(Optional.empty(), report("cuda:0", 0, 1000).warning());
    }

    @Test
    void sharesAreOfWhatIsKnown() {
        String all = text(report("cuda:0", 800, 1000));
        assertTrue(all.contains("reads 800.0 GB/s; nominal: 1000.0 GB/s, of which that is 80 %\n"), all);
        assertTrue(all.contains("400.00 GB/s,  50 % of the bandwidth\n"), all);
        String none = text(report("reference", 0, 0));
        assertTrue(none.contains("does not measure reads; nominal: unknown\n"), none);
        assertTrue(none.contains("400.00 GB/s\n"), none);
    }
}
