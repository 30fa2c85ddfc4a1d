package io.talaria.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.NavigableMap;

/**
 * A file that is nowhere: a header in memory, and behind it tensors whose data are made when they are read.
 *
 * @param places of the tensors, by the position at which each begins
 */
record MadeUpSource(ByteBuffer header, long size, NavigableMap<Long, Place> places, GgufWriter.PositionedData data)
        implements ByteSource {
    /** A tensor and the bytes that it takes. */
    record Place(String tensor, long bytes) {}

    @Override
    public int read(long position, ByteBuffer target) throws IOException {
        if (position >= size) {
            return 0;
        }
        Map.Entry<Long, Place> place = places.floorEntry(position);
        long within = place == null ? 0 : position - place.getKey();
        if (place != null && within < place.getValue().bytes()) {
            int count = (int) Math.min(target.remaining(), place.getValue().bytes() - within);
            data.read(place.getValue().tensor(), within, target.slice(target.position(), count));
            target.position(target.position() + count);
            return count;
        }
        if (position < header.limit()) {
            int count = (int) Math.min(target.remaining(), header.limit() - position);
            target.put(header.slice((int) position, count));
            return count;
        }
        target.put((byte) 0); // padding behind a tensor
        return 1;
    }
}
