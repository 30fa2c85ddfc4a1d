package io.talaria.cli;

import io.talaria.model.ModelConfig;
import io.talaria.placement.ExpertChoice;
import java.io.IOException;
import java.nio.charset.MalformedInputException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What {@code experts profile --csv} counted, read back: which two experts tokens used together. */
final class ExpertUseFile {
    private static final String FIRST_COLUMNS = "layer,expert,tokens,share,after_itself";
    private static final int PAIRS = FIRST_COLUMNS.split(",").length;
    private static final long MAX_BYTES = 16 << 20;

    private ExpertUseFile() {}

    /**
     * A distribution for each layer.
     *
     * @throws BadArgumentException if the file is no such record, or is of another model
     */
    static List<ExpertChoice> read(Path file, ModelConfig config) throws IOException {
        if (!Files.isRegularFile(file) || Files.size(file) > MAX_BYTES) {
            throw bad(file, "write the name of a file that 'experts profile --csv' wrote");
        }
        if (config.expertsUsed() != 2) {
            throw bad(file, "it counts pairs, and this model uses " + config.expertsUsed() + " experts a token");
        }
        List<String> lines;
        try {
            lines = Files.readAllLines(file);
        } catch (MalformedInputException e) {
            throw bad(file, "it is no text");
        }
        if (lines.isEmpty() || !lines.getFirst().startsWith(FIRST_COLUMNS + ",with_0")) {
            throw bad(file, "its first line is not that of 'experts profile --csv'");
        }
        int expected = config.layers() * config.experts();
        if (lines.size() - 1 != expected) {
            throw bad(
                    file,
                    "it has " + (lines.size() - 1) + " lines where the model has " + config.layers() + " layers of "
                            + config.experts() + " experts");
        }
        List<ExpertChoice> choices = new ArrayList<>();
        for (int layer = 0; layer < config.layers(); layer++) {
            long[][] together = new long[config.experts()][];
            for (int expert = 0; expert < config.experts(); expert++) {
                together[expert] = pairs(file, lines.get(1 + layer * config.experts() + expert), layer, expert, config);
            }
            try {
                choices.add(ExpertChoice.ofPairs(together));
            } catch (IllegalArgumentException e) {
                throw bad(file, "layer " + layer + ": " + e.getMessage());
            }
        }
        return choices;
    }

    private static long[] pairs(Path file, String line, int layer, int expert, ModelConfig config) {
        String[] fields = line.split(",", -1);
        if (fields.length != PAIRS + config.experts() || !line.startsWith(layer + "," + expert + ",")) {
            throw bad(file, "'" + TerminalText.safe(line) + "' is not a line of layer " + layer + ", expert " + expert);
        }
        long[] pairs = new long[config.experts()];
        for (int other = 0; other < pairs.length; other++) {
            String count = fields[PAIRS + other];
            if (!count.matches("\\d{1,15}")) {
                throw bad(
                        file,
                        "layer " + layer + ", expert " + expert + ": '" + TerminalText.safe(count)
                                + "' is no number of tokens");
            }
            pairs[other] = Long.parseLong(count);
        }
        return pairs;
    }

    private static BadArgumentException bad(Path file, String problem) {
        return new BadArgumentException("--use " + file + ": " + problem);
    }
}
