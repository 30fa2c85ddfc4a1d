package io.talaria.cli;

import io.talaria.Talaria;
import io.talaria.TalariaBuilder;
import io.talaria.backend.Backends;
import io.talaria.model.Model;
import io.talaria.placement.DeviceChoice;
import io.talaria.placement.MemoryPlan;
import io.talaria.placement.Planner.Places;
import io.talaria.placement.Streaming;
import java.io.IOException;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options of every command that loads a model to write answers with it. */
final class TalkOptions {
    @Mixin
    private DeviceOptions devices;

    @Mixin
    private SplitOptions split;

    @Option(names = "--verbose", description = "Says after loading what was planned and what each device allocated.")
    private boolean verbose;

    @Option(
            names = {"-c", "--context"},
            paramLabel = "N",
            description = "Tokens of prompt and answer at most. Default: " + TalariaBuilder.DEFAULT_CONTEXT
                    + ", or fewer if the model was trained for fewer.")
    private Integer context;

    @Option(
            names = "--batch-invariant",
            description =
                    "Compute an answer as if it were alone and in one piece, to the bit, whatever is computed with"
                            + " it; slower.")
    private boolean batchInvariant;

    /** Loads the model that was named, or else the small one that ships with Talaria. */
    Talaria open(String model) throws IOException {
        DeviceOptions.Choice choice = split.choose(devices);
        if (context != null && context < 2) {
            throw new BadArgumentException("--context " + context + ": write 2 or more");
        }
        Streaming streaming = split.streaming();
        Model opened = ModelPath.openOrDefault(model);
        TalariaBuilder builder = choice.configure(Talaria.builder(opened))
                .places(places(opened, choice))
                .streaming(streaming)
                .context(context == null ? 0 : context)
                .parallel(1)
                .batchInvariant(batchInvariant)
                .progress(new Progress("Loading")::at);
        try {
            Talaria talaria = builder.open();
            if (verbose) {
                talaria.deployment().report().forEach(System.err::println);
            }
            if (talaria.deployment().plan().isPresent()) {
                MemoryPlan plan = talaria.deployment().plan().get();
                boolean added = plan.shares().size() > choice.devices().size();
                if (added) {
                    long memory = Backends.info(SplitOptions.CPU).memoryBytes();
                    System.err.println(DeviceChoice.notice(plan, memory));
                }
                split.write(added ? plan.names() : choice.devices(), plan);
            }
            return talaria;
        } catch (IllegalArgumentException e) {
            throw new BadArgumentException(e.getMessage());
        }
    }

    /** The model is closed if its placement is refused. */
    private Places places(Model opened, DeviceOptions.Choice choice) throws IOException {
        try {
            return split.places(opened, choice);
        } catch (IOException | RuntimeException e) {
            try (opened) {
                throw e;
            }
        }
    }
}
