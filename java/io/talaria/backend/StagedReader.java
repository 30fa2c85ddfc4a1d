package io.talaria.backend;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadFactory;

/**
 * Reads a weight piece by piece, on threads of its own that are a few pieces ahead of whoever takes them. None of the
 * threads outlives a call. Not for use by several threads at once.
 */
public final class StagedReader {
    /** One waits for the disk while the other copies out of the page cache; more of them gained nothing. */
    private static final int READERS = 2;

    private static final int PIECES = 4;
    private static final int PIECE_BYTES = 4 << 20;
    /** Pieces are of whole groups of rows, so that devices that pack rows in panels get whole panels. */
    private static final int ROW_GROUP = 64;

    private static final ThreadFactory THREADS =
            Thread.ofPlatform().daemon().name("weight-reader-", 0).factory();

    private final List<ByteBuffer> buffers = new ArrayList<>();

    /** Takes the pieces of a weight, in their order. */
    @FunctionalInterface
    public interface Sink {
        /**
         * @param offset bytes of the weight before the piece
         * @param piece a direct buffer from 0 to its limit; it is used again on return
         */
        void accept(long offset, ByteBuffer piece);
    }

    /**
     * Hands a whole weight to a sink, in pieces of whole rows. What the sink throws ends it too.
     *
     * @param rowBytes bytes of a row
     * @param total bytes of the weight, a multiple of those of a row
     * @throws IOException the one that the source threw; or, if this thread is interrupted, one that says so, and then the
     *     source may be closed, as channels are if a thread is interrupted that reads from them
     */
    public void read(TensorSource source, int rowBytes, long total, Sink sink) throws IOException {
        int length = (int) Math.min(total, pieceBytes(rowBytes));
        long pieces = Math.ceilDiv(total, length);
        if (pieces == 1) {
            reserve(1, length);
            sink.accept(0, fill(source, 0, buffers.getFirst().clear().limit(length)));
            return;
        }
        int count = (int) Math.min(pieces, Math.max(1, PIECES * PIECE_BYTES / length));
        reserve(count, length);
        Queue<Future<ByteBuffer>> ahead = new ArrayDeque<>();
        // Closing waits for the reads under way; if this thread is interrupted, it interrupts them.
        try (ExecutorService readers = Executors.newFixedThreadPool(READERS, THREADS)) {
            try {
                long begun = 0;
                for (long piece = 0; piece < pieces; piece++) {
                    for (; begun < Math.min(pieces, piece + count); begun++) {
                        long at = begun * length;
                        ByteBuffer buffer = buffers.get((int) (begun % count));
                        buffer.clear().limit((int) Math.min(length, total - at));
                        ahead.add(readers.submit(() -> fill(source, at, buffer)));
                    }
                    sink.accept(piece * length, await(ahead.remove(), source));
                }
            } finally {
                ahead.forEach(piece -> piece.cancel(false));
            }
        }
    }

    private static int pieceBytes(int rowBytes) {
        int rows = Math.max(1, PIECE_BYTES / rowBytes);
        return rowBytes * (rows <= ROW_GROUP ? rows : rows / ROW_GROUP * ROW_GROUP);
    }

    /** Leaves room for so many pieces. Buffers are kept, as only the garbage collector frees them. */
    private void reserve(int count, int bytes) {
        if (!buffers.isEmpty() && buffers.getFirst().capacity() < bytes) {
            buffers.clear();
        }
        while (buffers.size() < count) {
            buffers.add(ByteBuffer.allocateDirect(Math.max(bytes, PIECE_BYTES)));
        }
    }

    private static ByteBuffer fill(TensorSource source, long offset, ByteBuffer buffer) throws IOException {
        source.read(offset, buffer);
        return buffer.rewind();
    }

    private static ByteBuffer await(Future<ByteBuffer> piece, TensorSource source) throws IOException {
        try {
            if (Thread.interrupted()) { // which get() would not notice if the piece is there
                throw new InterruptedException();
            }
            return piece.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("tensor " + source.name() + ": the thread that loads it was interrupted");
        } catch (ExecutionException e) {
            switch (e.getCause()) {
                case IOException cause -> throw cause;
                case RuntimeException cause -> throw cause;
                case Error cause -> throw cause;
                default -> throw new IllegalStateException(e.getCause());
            }
        }
    }
}
