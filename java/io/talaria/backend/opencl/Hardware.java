package io.talaria.backend.opencl;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jocl.CL;
import org.jocl.CLException;
import org.jocl.Pointer;
import org.jocl.Sizeof;
import org.jocl.cl_device_id;
import org.jocl.cl_platform_id;

/**
 * What a driver says of a device.
 *
 * @param version of OpenCL C, such as 1.2
 * @param processor whether it is the machine's processor
 * @param memoryBytes its global memory
 * @param mostBytes of one buffer
 * @param unified whether its memory is the machine's
 * @param mostLanes work-items of a work-group
 * @param exactDivision whether it can divide with correct rounding
 */
record Hardware(
        cl_platform_id platform,
        cl_device_id id,
        String name,
        String platformName,
        String driver,
        double version,
        boolean processor,
        long memoryBytes,
        long mostBytes,
        boolean unified,
        int mostLanes,
        boolean exactDivision,
        Set<String> extensions) {
    private static final int FP_CORRECTLY_ROUNDED_DIVIDE_SQRT = 1 << 7;

    /** The devices of all platforms, in the order of the loader. A platform without any is passed over. */
    static List<Hardware> all() {
        int[] count = new int[1];
        CL.clGetPlatformIDs(0, null, count);
        cl_platform_id[] platforms = new cl_platform_id[count[0]];
        CL.clGetPlatformIDs(platforms.length, platforms, null);
        List<Hardware> found = new ArrayList<>();
        for (cl_platform_id platform : platforms) {
            for (cl_device_id device : devices(platform)) {
                found.add(of(platform, device));
            }
        }
        return found;
    }

    private static cl_device_id[] devices(cl_platform_id platform) {
        int[] count = new int[1];
        try {
            CL.clGetDeviceIDs(platform, CL.CL_DEVICE_TYPE_ALL, 0, null, count);
        } catch (CLException e) {
            return new cl_device_id[0]; // CL_DEVICE_NOT_FOUND
        }
        cl_device_id[] devices = new cl_device_id[count[0]];
        if (devices.length > 0) {
            CL.clGetDeviceIDs(platform, CL.CL_DEVICE_TYPE_ALL, devices.length, devices, null);
        }
        return devices;
    }

    private static Hardware of(cl_platform_id platform, cl_device_id device) {
        String version = text(device, CL.CL_DEVICE_OPENCL_C_VERSION).replaceFirst("^OpenCL C (\\d+\\.\\d+).*", "$1");
        return new Hardware(
                platform,
                device,
                text(device, CL.CL_DEVICE_NAME),
                platformText(platform, CL.CL_PLATFORM_NAME),
                platformText(platform, CL.CL_PLATFORM_VERSION) + ", " + text(device, CL.CL_DRIVER_VERSION),
                version.matches("\\d+\\.\\d+") ? Double.parseDouble(version) : 1.0,
                (number(device, CL.CL_DEVICE_TYPE) & CL.CL_DEVICE_TYPE_CPU) != 0,
                number(device, CL.CL_DEVICE_GLOBAL_MEM_SIZE),
                number(device, CL.CL_DEVICE_MAX_MEM_ALLOC_SIZE),
                number(device, CL.CL_DEVICE_HOST_UNIFIED_MEMORY) != 0,
                (int) Math.min(1024, number(device, CL.CL_DEVICE_MAX_WORK_GROUP_SIZE)),
                (number(device, CL.CL_DEVICE_SINGLE_FP_CONFIG) & FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0,
                Set.of(text(device, CL.CL_DEVICE_EXTENSIONS).split(" +")));
    }

    /** Why Talaria cannot compute on it, as a part of a sentence; null if it can. */
    String refusal() {
        if (version < 1.2) {
            return "has OpenCL C " + version + ", and 1.2 is needed";
        }
        return !processor && mostLanes < Tuning.FEWEST_LANES
                ? "has work-groups of at most " + mostLanes + " work-items, and " + Tuning.FEWEST_LANES + " are needed"
                : null;
    }

    /** Of the machine's memory what is available, where the device lives on that; else its memory less what is taken. */
    long freeBytes(long taken) {
        long left = Math.max(0, memoryBytes - taken);
        return unified ? Math.min(left, availableBytes(left)) : left;
    }

    private static long availableBytes(long otherwise) {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/meminfo"))) {
                if (line.startsWith("MemAvailable:")) {
                    return Long.parseLong(line.replaceAll("\\D", "")) << 10;
                }
            }
        } catch (IOException e) {
            return otherwise; // not on Linux
        }
        return otherwise;
    }

    /** What a program was built for. */
    String identity() {
        return name + "\n" + platformName + "\n" + driver + "\n" + version;
    }

    private static long number(cl_device_id device, int what) {
        long[] value = new long[1]; // shorter ones fill its lower half
        long[] size = new long[1];
        CL.clGetDeviceInfo(device, what, Sizeof.cl_ulong, Pointer.to(value), size);
        return size[0] == Sizeof.cl_int ? value[0] & 0xffff_ffffL : value[0];
    }

    private static String text(cl_device_id device, int what) {
        long[] size = new long[1];
        CL.clGetDeviceInfo(device, what, 0, null, size);
        byte[] bytes = new byte[(int) size[0]];
        CL.clGetDeviceInfo(device, what, bytes.length, Pointer.to(bytes), null);
        return string(bytes);
    }

    private static String platformText(cl_platform_id platform, int what) {
        long[] size = new long[1];
        CL.clGetPlatformInfo(platform, what, 0, null, size);
        byte[] bytes = new byte[(int) size[0]];
        CL.clGetPlatformInfo(platform, what, bytes.length, Pointer.to(bytes), null);
        return string(bytes);
    }

    static String string(byte[] zeroTerminated) {
        String all = new String(zeroTerminated, StandardCharsets.UTF_8);
        int end = all.indexOf('\0');
        return (end < 0 ? all : all.substring(0, end)).strip();
    }
}
