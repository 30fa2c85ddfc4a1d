package io.talaria.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Where users want a file written. */
final class OutFile {
    private OutFile() {}

    /**
     * Refuses what a file cannot be put at, before anything slow begins.
     *
     * @param name the option or parameter, for the message
     */
    static void check(String name, Path out) {
        Path folder = out.toAbsolutePath().getParent();
        if (out.toString().isEmpty()) {
            throw new BadArgumentException(name + " is empty: write the name of a file");
        }
        if (folder == null || !Files.isDirectory(folder)) {
            throw new BadArgumentException(name + " " + out + ": there is no folder " + folder);
        }
        if (Files.isDirectory(out)) {
            throw new BadArgumentException(name + " " + out + " is a folder");
        }
        if (Files.exists(out) && !Files.isRegularFile(out)) { // such as /dev/null, which would be replaced
            throw new BadArgumentException(name + " " + out + " is no regular file");
        }
    }

    /** Refuses to replace a file that is being read. */
    static void checkOther(String name, Path out, List<Path> inputs) throws IOException {
        for (Path input : inputs) {
            if (Files.exists(out) && Files.isSameFile(out, input)) {
                throw new BadArgumentException(
                        name + " " + out + " would replace a file that is read; write another name");
            }
        }
    }
}
