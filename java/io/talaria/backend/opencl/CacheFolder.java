package io.talaria.backend.opencl;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;

/** The user's own folder for what can be made again. What lies in it is executed, so nobody else may write there. */
final class CacheFolder {
    /** A system property that names another folder. */
    static final String PROPERTY = "talaria.cache";

    private CacheFolder() {}

    /** {@code NAME} in the cache folder, made if it is not there; empty if it cannot be, or others may write to it. */
    static Optional<Path> find(String name) {
        try {
            Path folder = root().resolve(name);
            Files.createDirectories(root());
            if (!Files.isDirectory(folder)) {
                Files.createDirectory(
                        folder, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            }
            return isPrivate(folder) ? Optional.of(folder) : Optional.empty();
        } catch (IOException | UnsupportedOperationException e) {
            return Optional.empty();
        }
    }

    private static Path root() {
        String named = System.getProperty(PROPERTY);
        if (named != null) {
            return Path.of(named);
        }
        String cache = System.getenv("XDG_CACHE_HOME");
        if (cache != null && Path.of(cache).isAbsolute()) {
            return Path.of(cache, "talaria");
        }
        Path home = Path.of(System.getProperty("user.home"));
        boolean mac = System.getProperty("os.name").startsWith("Mac");
        return home.resolve(mac ? "Library/Caches" : ".cache").resolve("talaria");
    }

    private static boolean isPrivate(Path folder) throws IOException {
        PosixFileAttributes attributes = Files.readAttributes(folder, PosixFileAttributes.class);
        return attributes.owner().getName().equals(System.getProperty("user.name"))
                && !attributes.permissions().contains(PosixFilePermission.GROUP_WRITE)
                && !attributes.permissions().contains(PosixFilePermission.OTHERS_WRITE);
    }
}
