package io.talaria.backend.opencl;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.jocl.CL;

/**
 * Loads JOCL's native library, which in turn opens the system's OpenCL loader.
 *
 * <p>JOCL unpacks it to {@code java.io.tmpdir} under a name that all users share, where anybody may have put another one
 * before. So it gets a folder of its own for the moment that this takes.
 */
final class Jocl {
    private static final String ABSENT = load();

    private Jocl() {}

    /** Why OpenCL cannot be called, as a sentence; empty if it can. Never throws. */
    static Optional<String> unavailable() {
        return Optional.ofNullable(ABSENT);
    }

    private static String load() {
        if (!loaderMayBeHere()) {
            return "there is no OpenCL loader here (libOpenCL.so.1; on Debian and Ubuntu: apt-get install"
                    + " ocl-icd-libopencl1, and the driver of the device)";
        }
        Path folder = null;
        try {
            Path cache = CacheFolder.find("opencl").orElse(null);
            folder = cache == null
                    ? Files.createTempDirectory("talaria-jocl-") // which is its owner's alone, too
                    : Files.createTempDirectory(cache, "jocl-");
            initialise(folder);
            return null;
        } catch (IOException e) {
            return "JOCL's native library cannot be unpacked: " + e.getMessage();
        } catch (LinkageError | RuntimeException e) {
            return "the OpenCL loader does not load: " + firstLine(e);
        } finally {
            delete(folder);
        }
    }

    private static void initialise(Path folder) {
        String shared = System.getProperty("java.io.tmpdir");
        System.setProperty("java.io.tmpdir", folder.toString());
        try {
            CL.setExceptionsEnabled(true);
        } finally {
            System.setProperty("java.io.tmpdir", shared);
        }
    }

    /**
     * Whether the dynamic linker's cache, or a folder that the environment adds to it, has the loader: without it JOCL
     * complains on standard error. Where there is no such cache, that is found out by trying.
     */
    private static boolean loaderMayBeHere() {
        Path linkerCache = Path.of("/etc/ld.so.cache");
        String added = System.getenv("LD_LIBRARY_PATH");
        try {
            return added != null && !added.isBlank()
                    || !Files.isReadable(linkerCache)
                    || new String(Files.readAllBytes(linkerCache), StandardCharsets.ISO_8859_1)
                            .contains("libOpenCL.so");
        } catch (IOException e) {
            return true;
        }
    }

    private static String firstLine(Throwable thrown) {
        Throwable root = thrown;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        String message = root.getMessage() == null ? root.getClass().getSimpleName() : root.getMessage();
        return message.lines().findFirst().orElse("no reason given");
    }

    /** The library stays loaded without its file; where a system does not let it go, it stays behind. */
    private static void delete(Path folder) {
        if (folder == null) {
            return;
        }
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            return;
        }
        try {
            Files.deleteIfExists(folder);
        } catch (IOException e) {
            return; // as above
        }
    }
}
