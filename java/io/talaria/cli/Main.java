package io.talaria.cli;

import io.talaria.backend.DeviceException;
import io.talaria.engine.ContextFullException;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.Locale;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** {@code talaria COMMAND [MODEL] …} */
@Command(
        name = "talaria",
        mixinStandardHelpOptions = true,
        version = "talaria 0.1.0",
        description = "Runs Mixtral models from GGUF files.",
        subcommands = {
            ChatCommand.class,
            RunCommand.class,
            InfoCommand.class,
            TokenizeCommand.class,
            LogitsCommand.class,
            DevicesCommand.class,
            DoctorCommand.class,
            ConvertCommand.class,
            QuantizeCommand.class,
            SynthesizeCommand.class,
            BenchCommand.class,
            PlanCommand.class,
            ValidateCommand.class,
            EvalCommand.class,
            ExpertsCommand.class
        },
        footer = {
            "",
            "MODEL is the path of a GGUF file; of a model in shards, the first one's. Where it may be left",
            "out, the small model that ships with Talaria is taken.",
            "DEVICE is cpu, reference, cuda:0 and so on, or a list of them to split a model over;",
            "'talaria devices' lists what is here.",
            "Exit codes: 0 done, 1 a check failed, 2 bad arguments, 3 bad model or file, or output that",
            "cannot be written, 4 no such device or out of memory, 70 device lost."
        })
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        Locale.setDefault(Locale.Category.FORMAT, Locale.ROOT); // numbers that other programs read
        System.setOut(new PrintStream(new StandardOutput(), false, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8));
        System.exit(run(args));
    }

    /** Runs a command line and returns its exit code. */
    static int run(String... args) {
        CommandLine line = new CommandLine(new Main());
        line.setExpandAtFiles(false); // a text may begin with @
        line.setExecutionStrategy(parsed -> {
            try {
                return new CommandLine.RunLast().execute(parsed);
            } catch (StandardOutput.ClosedException e) { // out of a help text; those of commands come to the handler
                return report(e);
            }
        });
        line.setExecutionExceptionHandler((thrown, command, parsed) -> report(thrown));
        line.setParameterExceptionHandler((thrown, rest) -> {
            CommandLine command = thrown.getCommandLine();
            System.err.println("talaria: " + thrown.getMessage());
            System.err.println("'" + command.getCommandSpec().qualifiedName() + " --help' says what there is.");
            return ExitCode.BAD_ARGUMENTS;
        });
        if (args.length == 0) {
            line.usage(System.err);
            return ExitCode.BAD_ARGUMENTS;
        }
        try {
            return line.execute(args);
        } catch (OutOfMemoryError e) {
            return outOfMemory(e);
        }
    }

    /** One sentence on standard error, and the exit code that belongs to it. */
    private static int report(Exception thrown) {
        if (thrown instanceof StandardOutput.ClosedException closed && closed.unread()) {
            return ExitCode.UNREAD;
        }
        for (Throwable cause = thrown.getCause(); cause != null; cause = cause.getCause()) {
            if (cause instanceof OutOfMemoryError full) { // of the engine's thread
                return outOfMemory(full);
            }
        }
        System.err.println("talaria: " + sentence(thrown));
        return switch (thrown) {
            case BadArgumentException bad -> ExitCode.BAD_ARGUMENTS;
            case IllegalArgumentException bad -> ExitCode.BAD_ARGUMENTS;
            case ContextFullException full -> ExitCode.BAD_ARGUMENTS;
            case DeviceException device ->
                device.kind() == DeviceException.Kind.LOST ? ExitCode.DEVICE_LOST : ExitCode.NO_DEVICE;
            case IOException io -> ExitCode.BAD_MODEL;
            case UncheckedIOException io -> ExitCode.BAD_MODEL;
            case StandardOutput.ClosedException closed -> ExitCode.BAD_MODEL;
            case ArithmeticException numbers -> ExitCode.BAD_MODEL;
            default -> ExitCode.CHECK_FAILED;
        };
    }

    private static int outOfMemory(OutOfMemoryError full) {
        System.err.println("talaria: the Java heap is full (" + full.getMessage()
                + "); give it more, as with TALARIA_JAVA_OPTS=-Xmx8g");
        return ExitCode.NO_DEVICE;
    }

    private static String sentence(Exception thrown) {
        if (thrown instanceof NoSuchFileException missing) {
            return missing.getFile() + ": there is no such file";
        }
        if (thrown instanceof AccessDeniedException denied) {
            return denied.getFile() + ": it cannot be opened with your permissions";
        }
        if (thrown instanceof FileSystemException failed && failed.getReason() != null) {
            return failed.getFile() + ": " + failed.getReason();
        }
        if (thrown.getMessage() == null || thrown instanceof NullPointerException) {
            StackTraceElement[] trace = thrown.getStackTrace();
            return "an internal error: " + thrown + (trace.length > 0 ? " at " + trace[0] : "");
        }
        return thrown.getMessage();
    }
}
