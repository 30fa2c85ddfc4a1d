package io.talaria.backend.opencl;

import io.talaria.backend.DeviceException;
import io.talaria.backend.StagedReader;
import io.talaria.backend.TensorSource;
import io.talaria.backend.opencl.DeviceTensor.Part;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.jocl.CL;
import org.jocl.CLException;
import org.jocl.Pointer;
import org.jocl.Sizeof;
import org.jocl.cl_command_queue;
import org.jocl.cl_kernel;

/** Gets weights to a device: rows as they are in the file, and a kernel that lays them out. */
final class WeightLoader implements AutoCloseable {
    /** Rows of a part that does not hold whole matrices are a multiple of this. */
    private static final int ROW_GROUP = 64;

    private final Memory memory;
    private final cl_command_queue queue;
    private final Programs programs;
    private final int lanes;
    private final StagedReader reader = new StagedReader();
    private Memory.Buffer staging;
    private cl_kernel repack;

    WeightLoader(Memory memory, cl_command_queue queue, Programs programs, int lanes) {
        this.memory = memory;
        this.queue = queue;
        this.programs = programs;
        this.lanes = lanes;
    }

    /** The parts of a weight, filled. Where anything fails, none is left behind. */
    List<Part> load(TensorSource source) throws IOException {
        List<Part> parts = allocate(source);
        try {
            fill(parts, source);
            return parts;
        } catch (IOException | RuntimeException e) {
            parts.forEach(part -> part.buffer().close());
            throw e;
        }
    }

    /** Lays out a weight in its parts, or its first planes in those of one with more. */
    void fill(List<Part> parts, TensorSource source) throws IOException {
        long columns = source.shape().columns();
        int rowBytes = Math.toIntExact(source.type().bytes(columns));
        try {
            reader.read(
                    source,
                    rowBytes,
                    source.type().bytes(source.shape().elements()),
                    (at, piece) -> lay(source, parts, at / rowBytes, rowBytes, piece));
            CL.clFinish(queue);
        } catch (CLException e) {
            throw Faults.running(e);
        }
    }

    /** Whole matrices in each part, or, where one is larger than a buffer, some of its rows. */
    private List<Part> allocate(TensorSource source) {
        TensorType type = source.type();
        int planes = Math.toIntExact(
                Math.multiplyExact(source.shape().outer(), source.shape().planes()));
        int rows = Math.toIntExact(source.shape().rows());
        long columns = source.shape().columns();
        long limit = memory.mostWeightBytes();
        long matrix = WeightLayout.of(type, rows, columns).bytes();
        List<Part> parts = new ArrayList<>();
        try {
            if (matrix <= limit) {
                int each = (int) Math.min(planes, limit / matrix);
                for (int plane = 0; plane < planes; plane += each) {
                    int count = Math.min(each, planes - plane);
                    parts.add(part(source, plane, count, 0, rows));
                }
                return parts;
            }
            int each = rowsOf(source, limit);
            for (int plane = 0; plane < planes; plane++) {
                for (int row = 0; row < rows; row += each) {
                    parts.add(part(source, plane, 1, row, Math.min(each, rows - row)));
                }
            }
            return parts;
        } catch (DeviceException e) {
            parts.forEach(part -> part.buffer().close());
            throw e;
        }
    }

    private static int rowsOf(TensorSource source, long limit) {
        long group = WeightLayout.of(source.type(), ROW_GROUP, source.shape().columns())
                .bytes();
        if (group > limit) {
            throw new DeviceException(
                    DeviceException.Kind.OUT_OF_MEMORY,
                    "tensor " + source.name() + ": " + ROW_GROUP + " of its rows take " + group
                            + " bytes, and a buffer of this device has " + limit);
        }
        return Math.toIntExact(limit / group * ROW_GROUP);
    }

    private Part part(TensorSource source, int plane, int planes, int row, int rows) {
        WeightLayout layout =
                WeightLayout.of(source.type(), rows, source.shape().columns());
        Memory.Buffer buffer = memory.allocate(queue, layout.bytes() * planes, "tensor " + source.name());
        return new Part(buffer, plane, planes, row, rows, layout);
    }

    /** Rows from {@code first} on, counted over all matrices, to the parts that hold them. */
    private void lay(TensorSource source, List<Part> parts, long first, int rowBytes, ByteBuffer piece) {
        long rows = source.shape().rows();
        long end = first + piece.remaining() / rowBytes;
        int offset = 0;
        for (Part part : parts) {
            long begins = part.firstPlane() * rows + part.firstRow();
            long ends = begins + (long) part.planes() * part.rows();
            long count = Math.min(ends, end) - Math.max(begins, first);
            if (count > 0) {
                lay(source, part, Math.max(begins, first) - begins, count, piece.slice(offset, (int) count * rowBytes));
                offset += (int) count * rowBytes;
            }
        }
    }

    private void lay(TensorSource source, Part part, long first, long count, ByteBuffer rows) {
        stage(rows);
        WeightLayout at = part.layout();
        Object[] args = new LaunchArgs()
                .add(staging, part.buffer(), at.bytes(), at.second(), at.third(), at.fourth(), at.rowBytes())
                .add(
                        (int) source.shape().columns(),
                        part.rows(),
                        first,
                        source.type().id())
                .array();
        if (repack == null) {
            repack = programs.kernel(Unit.of("memory"), "repack");
        }
        for (int i = 0; i < args.length; i++) {
            BoundStep.setArgument(repack, i, args[i], null);
        }
        CL.clEnqueueNDRangeKernel(
                queue, repack, 1, null, new long[] {count * lanes}, new long[] {lanes}, 0, null, null);
    }

    /** Waits until the rows before these are laid out, as the queue goes in order. */
    private void stage(ByteBuffer rows) {
        if (staging == null || staging.bytes() < rows.remaining()) {
            CL.clFinish(queue);
            if (staging != null) {
                staging.close();
                staging = null;
            }
            staging = memory.allocate(queue, rows.remaining(), "staging for weights");
        }
        CL.clEnqueueWriteBuffer(
                queue,
                staging.memory(),
                true,
                0,
                (long) rows.remaining() * Sizeof.cl_char,
                Pointer.to(rows),
                0,
                null,
                null);
    }

    @Override
    public void close() {
        if (staging != null) {
            staging.close();
            staging = null;
        }
        if (repack != null) {
            CL.clReleaseKernel(repack);
            repack = null;
        }
    }
}
