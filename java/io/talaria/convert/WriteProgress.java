package io.talaria.convert;

import io.talaria.model.LoadProgress;
import java.util.function.LongConsumer;

/** Adds up the bytes that are to be written, and those that are. */
final class WriteProgress implements LongConsumer {
    private final LoadProgress progress;
    private long total;
    private long done;

    WriteProgress(LoadProgress progress) {
        this.progress = progress;
    }

    /** So many more bytes will be written. */
    void expect(long bytes) {
        total += bytes;
    }

    @Override
    public void accept(long bytes) {
        done += bytes;
        progress.loaded(done, total);
    }
}
