package io.talaria.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

@Command(
        name = "experts",
        mixinStandardHelpOptions = true,
        description = "Which experts a model uses, and what it would give to spread them over devices.",
        synopsisSubcommandLabel = "WHAT",
        subcommands = {ExpertsProfileCommand.class, ExpertsSimulateCommand.class})
final class ExpertsCommand implements Runnable {
    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new CommandLine.ParameterException(
                spec.commandLine(), "name what to do: experts profile or experts simulate");
    }
}
