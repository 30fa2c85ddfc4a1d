package io.talaria.backend.jni;

import io.talaria.backend.GpuProbe;
import io.talaria.backend.GpuState;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * NVIDIA's GPUs, through NVML. Its library comes with the driver, and the classes that bind it may be missing, so this is
 * the one place that touches them; where there is no driver, nothing is loaded.
 */
public final class NvmlProbe implements GpuProbe {
    private static final String LIBRARY = "libnvidia-ml.so.1";
    private static final List<String> FOLDERS = List.of(
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/usr/lib64",
            "/usr/lib",
            "/usr/local/nvidia/lib64",
            "/usr/lib/wsl/lib",
            "/run/opengl-driver/lib");

    @Override
    public List<GpuState> gpus() {
        if (!driverPresent()) {
            return List.of();
        }
        try {
            return Nvml.gpus();
        } catch (LinkageError e) { // the classes, their library, or the driver's are not there or too old
            return List.of();
        }
    }

    private static boolean driverPresent() {
        String path = System.getenv("LD_LIBRARY_PATH");
        Stream<String> own = path == null ? Stream.empty() : Arrays.stream(path.split(File.pathSeparator));
        return Files.exists(Path.of("/proc/driver/nvidia"))
                || Stream.concat(FOLDERS.stream(), own.filter(folder -> !folder.isEmpty()))
                        .anyMatch(folder -> Files.exists(Path.of(folder, LIBRARY)));
    }
}
