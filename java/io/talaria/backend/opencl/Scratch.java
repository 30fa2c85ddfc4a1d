package io.talaria.backend.opencl;

import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;
import org.jocl.CL;
import org.jocl.Pointer;
import org.jocl.cl_command_queue;

/** The scratch memory of a device: one step runs at a time, so all share it. */
final class Scratch implements AutoCloseable {
    private record Rope(int dims, float base) {}

    private final Memory memory;
    private final cl_command_queue queue;
    private final Map<Region, Memory.Buffer> regions = new EnumMap<>(Region.class);
    private final Map<Rope, Memory.Buffer> frequencies = new HashMap<>();
    private int generation;

    Scratch(Memory memory, cl_command_queue queue) {
        this.memory = memory;
        this.queue = queue;
    }

    /** Changes when a buffer moves: kernels that were bound before have to be bound anew. */
    int generation() {
        return generation;
    }

    Memory.Buffer buffer(Region region) {
        return regions.get(region);
    }

    /** Makes room for at least so many bytes in each region, while nothing runs. */
    void reserve(Map<Region, Long> bytes) {
        bytes.forEach((region, needed) -> {
            Memory.Buffer held = regions.get(region);
            if (held != null && held.bytes() >= needed) {
                return;
            }
            generation++;
            regions.put(region, memory.allocate(queue, needed, "scratch memory of a step"));
            if (held != null) {
                held.close();
            }
        });
    }

    /**
     * RoPE's angle per position, {@code [dims / 2]}, in fractions of a full turn, 2^64 to the turn.
     *
     * @param base of RoPE: pair i turns by base^(-2i / dims)
     */
    Memory.Buffer frequency(int dims, float base) {
        return frequencies.computeIfAbsent(new Rope(dims, base), rope -> {
            long[] turns = new long[dims / 2];
            for (int i = 0; i < turns.length; i++) {
                double turn = Math.pow(base, -2.0 * i / dims) / (2 * Math.PI);
                double fraction = turn - Math.floor(turn);
                turns[i] = (long) (fraction * 0x1p32) << 32 | (long) (fraction * 0x1p32 % 1 * 0x1p32);
            }
            Memory.Buffer buffer = memory.allocate(queue, (long) turns.length * Long.BYTES, "frequencies of RoPE");
            CL.clEnqueueWriteBuffer(
                    queue,
                    buffer.memory(),
                    true,
                    0,
                    (long) turns.length * Long.BYTES,
                    Pointer.to(turns),
                    0,
                    null,
                    null);
            return buffer;
        });
    }

    @Override
    public void close() {
        regions.values().forEach(Memory.Buffer::close);
        regions.clear();
        frequencies.values().forEach(Memory.Buffer::close);
        frequencies.clear();
    }
}
