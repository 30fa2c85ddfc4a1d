package io.talaria.backend.jni;

import static org.bytedeco.cuda.global.nvml.NVML_CLOCK_MEM;
import static org.bytedeco.cuda.global.nvml.NVML_CLOCK_SM;
import static org.bytedeco.cuda.global.nvml.NVML_SUCCESS;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetClockInfo;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetCount_v2;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetEnforcedPowerLimit;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetHandleByIndex_v2;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetMaxClockInfo;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetMemoryBusWidth;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetMemoryInfo;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetName;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetPowerUsage;
import static org.bytedeco.cuda.global.nvml.nvmlInit_v2;
import static org.bytedeco.cuda.global.nvml.nvmlShutdown;

import io.talaria.backend.GpuState;
import java.io.IOException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToIntFunction;
import org.bytedeco.cuda.nvml.nvmlDevice_st;
import org.bytedeco.cuda.nvml.nvmlMemory_t;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;

/** The calls to NVML. Loading this class loads the driver's library: see {@link NvmlProbe}. */
final class Nvml {
    private static final int NAME_BYTES = 96;
    private static final String LOADING = "org.bytedeco.javacpp.loadlibraries";

    static {
        load();
    }

    private Nvml() {}

    /**
     * Loads the one library that is needed. Left to themselves, the classes would load CUDA's runtime first, which machines
     * with a driver and no toolkit do not have.
     */
    private static void load() {
        URL library = Nvml.class.getResource("/org/bytedeco/cuda/" + Loader.getPlatform() + "/libjninvml.so");
        String before = System.getProperty(LOADING);
        System.setProperty(LOADING, "false");
        try {
            System.load(Loader.cacheResource(library).getAbsolutePath());
            Class.forName("org.bytedeco.cuda.global.nvml");
            Class.forName(nvmlMemory_t.class.getName());
            Class.forName(nvmlDevice_st.class.getName());
        } catch (ClassNotFoundException | IOException | NullPointerException e) {
            throw new UnsatisfiedLinkError("NVML's classes or their library are not here: " + e.getMessage());
        } finally {
            if (before == null) {
                System.clearProperty(LOADING);
            } else {
                System.setProperty(LOADING, before);
            }
        }
    }

    static List<GpuState> gpus() {
        List<GpuState> gpus = new ArrayList<>();
        if (nvmlInit_v2() == NVML_SUCCESS) {
            int[] count = new int[1];
            nvmlDeviceGetCount_v2(count);
            for (int i = 0; i < count[0]; i++) {
                nvmlDevice_st device = new nvmlDevice_st((Pointer) null);
                if (nvmlDeviceGetHandleByIndex_v2(i, device) == NVML_SUCCESS) {
                    gpus.add(state(i, device));
                }
            }
            nvmlShutdown();
        }
        return gpus;
    }

    private static GpuState state(int index, nvmlDevice_st device) {
        int memoryClock = number(value -> nvmlDeviceGetMaxClockInfo(device, NVML_CLOCK_MEM, value));
        int width = number(value -> nvmlDeviceGetMemoryBusWidth(device, value));
        try (nvmlMemory_t memory = new nvmlMemory_t()) {
            boolean known = nvmlDeviceGetMemoryInfo(device, memory) == NVML_SUCCESS;
            return new GpuState(
                    index,
                    name(device),
                    known ? memory.total() : 0,
                    known ? memory._free() : 0,
                    number(value -> nvmlDeviceGetClockInfo(device, NVML_CLOCK_SM, value)),
                    number(value -> nvmlDeviceGetClockInfo(device, NVML_CLOCK_MEM, value)),
                    2e6 * memoryClock * width / 8 / 1e9,
                    number(value -> nvmlDeviceGetPowerUsage(device, value)) / 1e3,
                    number(value -> nvmlDeviceGetEnforcedPowerLimit(device, value)) / 1e3);
        }
    }

    private static int number(ToIntFunction<int[]> call) {
        int[] value = new int[1];
        return call.applyAsInt(value) == NVML_SUCCESS ? value[0] : 0;
    }

    private static String name(nvmlDevice_st device) {
        byte[] text = new byte[NAME_BYTES];
        nvmlDeviceGetName(device, text, NAME_BYTES - 1);
        String name = new String(text, StandardCharsets.UTF_8);
        return name.substring(0, name.indexOf('\0'));
    }
}
