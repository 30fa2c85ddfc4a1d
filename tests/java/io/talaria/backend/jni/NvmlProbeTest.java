package io.talaria.backend.jni;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** NVML through a library that stands in for the driver's, and nothing else of CUDA: no runtime, no toolkit. */
class NvmlProbeTest {
    private static final String DRIVER = """
            #include <string.h>
            int nvmlInit_v2(void) { return 0; }
            int nvmlShutdown(void) { return 0; }
            int nvmlDeviceGetCount_v2(unsigned* count) { *count = 2; return 0; }
            static int devices[2];
            int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) { *device = devices + index; return 0; }
            int nvmlDeviceGetName(void* device, char* name, unsigned size) {
              strncpy(name, device == devices ? "NVIDIA Test GPU" : "NVIDIA Other GPU", size);
              return 0;
            }
            int nvmlDeviceGetMemoryInfo(void* device, unsigned long long* memory) {
              memory[0] = 80000000000ull;
              memory[1] = device == devices ? 70000000000ull : 1ull;
              return 0;
            }
            int nvmlDeviceGetClockInfo(void* device, int clock, unsigned* value) {
              (void)device;
              *value = clock == 2 ? 2600 : 1980;
              return 0;
            }
            int nvmlDeviceGetMaxClockInfo(void* device, int clock, unsigned* value) {
              (void)device;
              *value = clock == 2 ? 2619 : 1980;
              return 0;
            }
            int nvmlDeviceGetMemoryBusWidth(void* device, unsigned* value) { (void)device; *value = 5120; return 0; }
            int nvmlDeviceGetPowerUsage(void* device, unsigned* value) { (void)device; *value = 72500; return 0; }
            int nvmlDeviceGetEnforcedPowerLimit(void* device, unsigned* value) { (void)device; *value = 5; return 3; }
            """;

    /** A program of its own, as only a new process looks for libraries elsewhere. */
    static final class Ask {
        private Ask() {}

        public static void main(String[] args) {
            new NvmlProbe().gpus().forEach(System.out::println);
        }
    }

    private static String ask(Path folder) throws IOException, InterruptedException {
        ProcessBuilder java = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        Ask.class.getName())
                .redirectError(ProcessBuilder.Redirect.INHERIT);
        java.environment().put("LD_LIBRARY_PATH", folder.toString());
        Process process = java.start();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor());
        return out;
    }

    @Test
    void theDriversLibraryIsEnough(@TempDir Path folder) throws Exception {
        Assumptions.assumeTrue(
                System.getProperty("os.name").equals("Linux")
                        && System.getProperty("os.arch").equals("amd64"),
                "not tested: NVML is bound on Linux on x86-64 alone");
        Path source = Files.writeString(folder.resolve("driver.c"), DRIVER);
        Path library = folder.resolve("libnvidia-ml.so.1");
        Process compiler = new ProcessBuilder("cc", "-shared", "-fPIC", "-o", library.toString(), source.toString())
                .inheritIO()
                .start();
        assertEquals(0, compiler.waitFor());
        assertEquals("""
                GpuState[index=0, name=NVIDIA Test GPU, memoryBytes=80000000000, freeBytes=70000000000, megahertz=1980,\
                 memoryMegahertz=2600, bandwidth=3352.32, watts=72.5, wattsLimit=0.0]
                GpuState[index=1, name=NVIDIA Other GPU, memoryBytes=80000000000, freeBytes=1, megahertz=1980,\
                 memoryMegahertz=2600, bandwidth=3352.32, watts=72.5, wattsLimit=0.0]
                """, ask(folder));
    }

    @Test
    void aLibraryThatIsNoneIsNoFault(@TempDir Path folder) throws Exception {
        Files.writeString(folder.resolve("libnvidia-ml.so.1"), "damaged");
        Assumptions.assumeFalse(Files.exists(Path.of("/proc/driver/nvidia")), "not tested: the real driver is here");
        assertEquals("", ask(folder));
    }
}
