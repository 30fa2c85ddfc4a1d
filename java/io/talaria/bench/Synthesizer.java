package io.talaria.bench;

import io.talaria.bench.SyntheticTensors.Made;
import io.talaria.bench.SyntheticTensors.Part;
import io.talaria.gguf.GgufWriter;
import io.talaria.model.ExpertLayout;
import io.talaria.model.LoadProgress;
import io.talaria.quant.Recipe;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.List;

/**
 * Writes a GGUF file with a model of real shape and recipe and made-up weights: what such a model writes means nothing,
 * what it costs is what the real one costs.
 */
public final class Synthesizer {
    private static final int CHUNK_BLOCKS = 1 << 13;

    private final LoadProgress progress;
    private final long total;
    private long done;

    private Synthesizer(LoadProgress progress, long total) {
        this.progress = progress;
        this.total = total;
    }

    /**
     * Writes the file; the same arguments give the same bytes, and both layouts the same weights.
     *
     * @throws IllegalArgumentException if the recipe's types do not fit the shape
     * @throws IOException if the file cannot be written
     */
    public static void write(
            Path target, SyntheticShape shape, Recipe recipe, ExpertLayout layout, LoadProgress progress)
            throws IOException {
        if (layout == ExpertLayout.DENSE) {
            throw new IllegalArgumentException("a dense model has no experts to lay out");
        }
        List<Made> tensors = SyntheticTensors.of(shape, recipe, layout);
        long total = tensors.stream().mapToLong(Made::bytes).sum();
        GgufWriter writer = new GgufWriter();
        SyntheticTensors.putMetadata(writer, shape, recipe);
        Synthesizer synthesizer = new Synthesizer(progress, total);
        for (Made made : tensors) {
            writer.addTensor(made.name(), made.type(), made.dims(), channel -> synthesizer.put(made, channel));
        }
        writer.write(target);
    }

    private void put(Made made, WritableByteChannel channel) throws IOException {
        ByteBuffer chunk =
                ByteBuffer.allocate(CHUNK_BLOCKS * made.type().blockBytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (Part part : made.parts()) {
            RandomBlocks blocks = new RandomBlocks(part.seed(), made.type(), made.deviation());
            for (long left = made.partBytes(); left > 0; left -= chunk.limit()) {
                chunk.clear().limit((int) Math.min(chunk.capacity(), left));
                if (made.norm()) {
                    ones(chunk);
                } else {
                    blocks.fill(chunk);
                }
                while (chunk.hasRemaining()) {
                    done += channel.write(chunk);
                }
                progress.loaded(done, total);
            }
        }
    }

    private static void ones(ByteBuffer chunk) {
        for (int at = 0; at < chunk.limit(); at += Float.BYTES) {
            chunk.putFloat(at, 1);
        }
    }
}
