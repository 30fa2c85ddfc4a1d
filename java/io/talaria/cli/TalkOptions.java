package io.talaria.cli;

import io.talaria.Talaria;
import io.talaria.TalariaBuilder;
import java.io.IOException;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options of every command that loads a model to write answers with it. */
final class TalkOptions {
    @Mixin
    private DeviceOptions devices;

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
        DeviceOptions.Choice choice = devices.choose();
        if (context != null && context < 2) {
            throw new BadArgumentException("--context " + context + ": write 2 or more");
        }
        TalariaBuilder builder = choice.configure(Talaria.builder(ModelPath.openOrDefault(model)))
                .context(context == null ? 0 : context)
                .parallel(1)
                .batchInvariant(batchInvariant)
                .progress(new Progress("Loading")::at);
        try {
            return builder.open();
        } catch (IllegalArgumentException e) {
            throw new BadArgumentException(e.getMessage());
        }
    }
}
