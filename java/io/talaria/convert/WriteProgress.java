package io.talaria.convert;

import io.talaria.model.LoadProgress;
import java.util.function.LongConsumer;

/** Adds up the bytes that are written. */
final class WriteProgress implements LongConsumer {
    private final LoadProgress progress;
    private final long total;
    private long done;

    WriteProgress(LoadProgress progress, long total) {
        this.progress = progress;
        this.total = total;
    }

    @Override
    public void accept(long bytes) {
        done += bytes;
        progress.loaded(done, total);
    }
}
