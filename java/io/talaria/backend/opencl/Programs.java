package io.talaria.backend.opencl;

import io.talaria.backend.DeviceException;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.jocl.CL;
import org.jocl.CLException;
import org.jocl.Pointer;
import org.jocl.Sizeof;
import org.jocl.cl_context;
import org.jocl.cl_context_properties;
import org.jocl.cl_device_id;
import org.jocl.cl_kernel;
import org.jocl.cl_program;

/**
 * A device's context, and the programs that were built for it: each once for as long as this process runs, and from the
 * cache on disk where an earlier one has built it.
 */
final class Programs {
    /** A system property with more options for the compiler, for drivers with peculiarities and for tests. */
    static final String OPTIONS_PROPERTY = "talaria.opencl.options";

    private static final int MOST_LOG_LINES = 6;

    private final Hardware hardware;
    private final Tuning tuning;
    private final cl_context context;
    private final BinaryCache cache = new BinaryCache();
    private final Map<Unit, cl_program> programs = new HashMap<>();
    private int compiled;

    /**
     * @throws CLException if the driver makes no context
     */
    Programs(Hardware hardware, Tuning tuning) {
        this.hardware = hardware;
        this.tuning = tuning;
        cl_context_properties properties = new cl_context_properties();
        properties.addProperty(CL.CL_CONTEXT_PLATFORM, hardware.platform());
        context = CL.clCreateContext(properties, 1, devices(), null, null, null);
    }

    cl_context context() {
        return context;
    }

    /** How many programs were compiled from source so far, and not found in the cache. */
    synchronized int compiled() {
        return compiled;
    }

    /**
     * A new kernel of a program, which is built if this is its first.
     *
     * @throws DeviceException UNSUPPORTED if the device's compiler refuses it; the message has what it says
     */
    synchronized cl_kernel kernel(Unit unit, String name) {
        cl_program program = programs.computeIfAbsent(unit, this::build);
        try {
            return CL.clCreateKernel(program, name, null);
        } catch (CLException e) {
            throw refused(unit, "has no kernel " + name + " after it was built (" + e.getMessage() + ")");
        }
    }

    private cl_program build(Unit unit) {
        String source = KernelSource.read(unit.path());
        String options = options(unit);
        String key = BinaryCache.key(hardware.identity(), options, source);
        Optional<cl_program> kept = cache.find(key).flatMap(binary -> load(binary, options));
        if (kept.isPresent()) {
            return kept.get();
        }
        cl_program program = compile(unit, source, options);
        compiled++;
        binary(program).ifPresent(binary -> cache.put(key, binary));
        return program;
    }

    private String options(Unit unit) {
        String added = System.getProperty(OPTIONS_PROPERTY, "");
        double version = hardware.version();
        return (version >= 3 ? "-cl-std=CL3.0 " : version >= 2 ? "-cl-std=CL2.0 " : "-cl-std=CL1.2 ")
                + (hardware.exactDivision() ? "-cl-fp32-correctly-rounded-divide-sqrt " : "")
                + tuning.defines()
                + " "
                + unit.defines()
                + (added.isBlank() ? "" : " " + added);
    }

    /** A program from the cache, if the driver takes it: what it does not take is compiled anew. */
    private Optional<cl_program> load(byte[] binary, String options) {
        cl_program program = null;
        try {
            program = CL.clCreateProgramWithBinary(
                    context, 1, devices(), new long[] {binary.length}, new byte[][] {binary}, new int[1], null);
            CL.clBuildProgram(program, 1, devices(), options, null, null);
            return Optional.of(program);
        } catch (CLException e) {
            if (program != null) {
                CL.clReleaseProgram(program);
            }
            return Optional.empty();
        }
    }

    private cl_program compile(Unit unit, String source, String options) {
        cl_program program =
                CL.clCreateProgramWithSource(context, 1, new String[] {source}, new long[] {source.length()}, null);
        try {
            CL.clBuildProgram(program, 1, devices(), options, null, null);
            return program;
        } catch (CLException e) {
            String log = log(program);
            CL.clReleaseProgram(program);
            throw refused(unit, "is not compiled by the device's driver: " + (log.isEmpty() ? e.getMessage() : log));
        }
    }

    private DeviceException refused(Unit unit, String why) {
        return new DeviceException(DeviceException.Kind.UNSUPPORTED, "the kernel file " + unit.file() + ".cl " + why);
    }

    /** The first lines of what the compiler says. */
    private String log(cl_program program) {
        long[] size = new long[1];
        CL.clGetProgramBuildInfo(program, hardware.id(), CL.CL_PROGRAM_BUILD_LOG, 0, null, size);
        byte[] bytes = new byte[Math.toIntExact(size[0])];
        CL.clGetProgramBuildInfo(
                program, hardware.id(), CL.CL_PROGRAM_BUILD_LOG, bytes.length, Pointer.to(bytes), null);
        return String.join(
                "\n", Hardware.string(bytes).lines().limit(MOST_LOG_LINES).toList());
    }

    private static Optional<byte[]> binary(cl_program program) {
        try {
            long[] size = new long[1];
            CL.clGetProgramInfo(program, CL.CL_PROGRAM_BINARY_SIZES, Sizeof.size_t, Pointer.to(size), null);
            if (size[0] == 0) {
                return Optional.empty(); // this driver gives none
            }
            byte[] bytes = new byte[Math.toIntExact(size[0])];
            CL.clGetProgramInfo(program, CL.CL_PROGRAM_BINARIES, Sizeof.POINTER, Pointer.to(Pointer.to(bytes)), null);
            return Optional.of(bytes);
        } catch (CLException | ArithmeticException e) {
            return Optional.empty();
        }
    }

    private cl_device_id[] devices() {
        return new cl_device_id[] {hardware.id()};
    }
}
