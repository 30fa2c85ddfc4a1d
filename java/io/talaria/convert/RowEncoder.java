package io.talaria.convert;

import io.talaria.model.ModelException;
import io.talaria.quant.Quant;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.LongConsumer;

/**
 * Encodes tensors on several threads, a run of rows on each, and writes them in order. It holds a few runs in memory,
 * whatever the tensor's size, and the bytes do not depend on the number of threads.
 */
final class RowEncoder implements AutoCloseable {
    private static final int RUN_ELEMENTS = 1 << 18;
    private static final float LARGEST_HALF = 65_504;

    private final Path input;
    private final int threads;
    private final ExecutorService workers;

    /** @param input what is read, for messages */
    RowEncoder(Path input, int threads) {
        this.input = input;
        this.threads = threads;
        this.workers = Executors.newFixedThreadPool(threads, task -> {
            Thread thread = new Thread(task, "encode");
            thread.setDaemon(true);
            return thread;
        });
    }

    /** A run of rows, encoded. */
    private record Run(byte[] bytes, WriteError error) {}

    /**
     * Encodes and writes a whole tensor.
     *
     * @param name for messages
     * @param measure whether the error is wanted, which takes decoding what was encoded
     * @param written hears of the bytes of each run
     * @return how far what is written is from the source; nothing if that is not measured
     * @throws ModelException if a value is no number, or too large for the type
     */
    WriteError write(
            String name,
            RowSource source,
            TensorType type,
            boolean measure,
            WritableByteChannel channel,
            LongConsumer written)
            throws IOException {
        WriteError error = WriteError.NONE;
        int rowsPerRun = Math.max(1, RUN_ELEMENTS / source.columns());
        Deque<Future<Run>> ahead = new ArrayDeque<>();
        try {
            long next = 0;
            while (next < source.rows() || !ahead.isEmpty()) {
                while (next < source.rows() && ahead.size() < 2 * threads) {
                    long row = next;
                    int count = (int) Math.min(rowsPerRun, source.rows() - row);
                    ahead.add(workers.submit(() -> encode(name, source, type, measure, row, count)));
                    next += count;
                }
                Run run = await(ahead.remove());
                channel.write(ByteBuffer.wrap(run.bytes()));
                written.accept(run.bytes().length);
                error = error.plus(run.error());
            }
            return error;
        } finally {
            ahead.forEach(run -> run.cancel(false));
        }
    }

    private Run encode(String name, RowSource source, TensorType type, boolean measure, long row, int count)
            throws IOException {
        int elements = Math.multiplyExact(count, source.columns());
        float[] values = new float[elements];
        source.read(row, count, values);
        check(name, type, values);
        byte[] bytes = new byte[Math.toIntExact(type.bytes(elements))];
        Quant.encode(type, values, 0, bytes, 0, elements);
        if (!measure) {
            return new Run(bytes, WriteError.NONE);
        }
        float[] decoded = new float[elements];
        Quant.decode(type, bytes, 0, decoded, 0, elements);
        return new Run(bytes, WriteError.of(values, decoded));
    }

    private void check(String name, TensorType type, float[] values) throws ModelException {
        boolean wide = type == TensorType.F32 || type == TensorType.BF16;
        float largest = wide ? Float.MAX_VALUE : LARGEST_HALF;
        for (float value : values) {
            if (!(Math.abs(value) <= largest)) {
                throw new ModelException(input + ": the tensor '" + name + "' has the value " + value
                        + (Float.isFinite(value) ? ", too large for " + type + ": write it in BF16" : ", no number"));
            }
        }
    }

    private static Run await(Future<Run> run) throws IOException {
        try {
            return run.get();
        } catch (ExecutionException e) {
            switch (e.getCause()) {
                case IOException io -> throw io;
                case RuntimeException bug -> throw bug;
                case Error error -> throw error;
                default -> throw new IllegalStateException(e.getCause());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("the writing was interrupted", e);
        }
    }

    @Override
    public void close() {
        workers.shutdown();
    }
}
