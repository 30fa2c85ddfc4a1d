package io.talaria.cli;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import java.util.Optional;

/** The file in which what was typed outlives the program; only its owner may read it. */
final class ChatHistory {
    private ChatHistory() {}

    /** The user's file, made if need be; empty if there can be none. */
    static Optional<Path> file() {
        return file(System.getenv(), System.getProperty("user.home"));
    }

    /** {@code $XDG_STATE_HOME/talaria/chat_history}, or the same in {@code ~/.local/state}. */
    static Optional<Path> file(Map<String, String> environment, String home) {
        String state = environment.getOrDefault("XDG_STATE_HOME", "");
        try {
            Path base = Path.of(state);
            if (!base.isAbsolute()) { // which the XDG specification says to ignore
                base = Path.of(home, ".local", "state");
            }
            return base.isAbsolute() ? Optional.of(create(base.resolve("talaria"))) : Optional.empty();
        } catch (IOException | InvalidPathException | UnsupportedOperationException e) {
            return Optional.empty();
        }
    }

    private static Path create(Path folder) throws IOException {
        Path file = folder.resolve("chat_history");
        Files.createDirectories(
                folder, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        try {
            Files.createFile(file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        } catch (FileAlreadyExistsException e) {
            if (!Files.isWritable(file)) {
                throw e;
            }
        }
        return file;
    }
}
