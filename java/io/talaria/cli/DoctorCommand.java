package io.talaria.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
        name = "doctor",
        mixinStandardHelpOptions = true,
        description = "What is here: Java, system, devices, and why a backend is absent.")
final class DoctorCommand implements Callable<Integer> {
    @Option(names = "--json", description = "One JSON object, the same as 'devices --json' prints.")
    private boolean json;

    @Override
    public Integer call() {
        if (!json) {
            line("java", System.getProperty("java.version") + ", " + System.getProperty("java.home"));
            line("system", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
            line("processors", Runtime.getRuntime().availableProcessors());
            line("java heap", Sizes.bytes(Runtime.getRuntime().maxMemory()) + " at most");
        }
        return new CommandLine(new DevicesCommand()).execute(json ? new String[] {"--json"} : new String[0]);
    }

    private static void line(String name, Object value) {
        System.out.printf("%-12s %s%n", name, value);
    }
}
