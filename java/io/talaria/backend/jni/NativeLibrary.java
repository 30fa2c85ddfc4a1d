package io.talaria.backend.jni;

import io.talaria.backend.DeviceException;
import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.javacpp.Loader;

/** Loads the JNI library once, and finds the backends' shared libraries beside it. */
final class NativeLibrary {
    private static final String ABSENT = load();
    /** When the launcher builds what not every build has. */
    private static final Map<String, String> WHEN_BUILT = Map.of(
            "cuda", "./talaria builds it where there are an NVIDIA GPU and nvcc",
            "hip", "./talaria builds it where there are an AMD GPU, clang 18 or later, and lld",
            "metal", "Metal needs macOS, on a Mac with an Apple M-series processor",
            "simt", "./talaria builds it when the device simt:0 is named");

    private NativeLibrary() {}

    /** Why the JNI library is not there, as a sentence; empty if it is. */
    static Optional<String> unavailable() {
        return Optional.ofNullable(ABSENT);
    }

    private static String load() {
        try {
            int version = Native.talaria_abi_version();
            if (version != Native.TALARIA_ABI_VERSION) {
                return "the native library has ABI version " + version + " where this jar needs "
                        + Native.TALARIA_ABI_VERSION + "; build both again";
            }
            return null;
        } catch (LinkageError e) {
            return "the native library does not load on " + Loader.getPlatform() + ": " + rootMessage(e);
        }
    }

    private static String rootMessage(Throwable thrown) {
        Throwable root = thrown;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        return root.getMessage() == null ? root.getClass().getSimpleName() : root.getMessage();
    }

    /**
     * The file of {@code libtalaria_NAME}: in place if the classes lie in a folder, unpacked once if they lie in a jar.
     *
     * @throws DeviceException if it was not built, or cannot be unpacked
     */
    static Path find(String backend) {
        String file = System.mapLibraryName("talaria_" + backend);
        URL resource = NativeLibrary.class.getResource(Loader.getPlatform() + "/" + file);
        if (resource == null) {
            String when = WHEN_BUILT.containsKey(backend) ? "; " + WHEN_BUILT.get(backend) : "";
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED, file + " was not built for " + Loader.getPlatform() + when);
        }
        try {
            if (resource.getProtocol().equals("file")) {
                return Path.of(resource.toURI());
            }
            File unpacked = Loader.cacheResource(resource);
            if (unpacked != null) {
                return unpacked.toPath();
            }
        } catch (IOException | URISyntaxException e) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED, file + " cannot be unpacked: " + e.getMessage(), e);
        }
        throw new DeviceException(DeviceException.Kind.UNSUPPORTED, file + " cannot be unpacked");
    }
}
