package io.talaria.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

@Command(
        name = "experts",
        mixinStandardHelpOptions = true,
        description = "Which experts a model uses.",
        synopsisSubcommandLabel = "WHAT",
        subcommands = ExpertsProfileCommand.class)
final class ExpertsCommand implements Runnable {
    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new CommandLine.ParameterException(spec.commandLine(), "name what to do: experts profile");
    }
}
