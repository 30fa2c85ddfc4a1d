package io.talaria.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;

/** Where a tensor's data is written to: it counts, and refuses a byte too many or too few. */
final class TensorChannel implements WritableByteChannel {
    private final String file;
    private final String name;
    private final long bytes;
    private final AtomicFile out;
    private long written;

    TensorChannel(String file, String name, long bytes, AtomicFile out) {
        this.file = file;
        this.name = name;
        this.bytes = bytes;
        this.out = out;
    }

    @Override
    public int write(ByteBuffer source) throws IOException {
        int count = source.remaining();
        if (count > bytes - written) {
            throw wrongLength("more");
        }
        out.write(source);
        written += count;
        return count;
    }

    void requireComplete() throws GgufException {
        if (written != bytes) {
            throw wrongLength("only " + written);
        }
    }

    private GgufException wrongLength(String supplied) {
        return GgufException.of(
                GgufFault.DATA_LENGTH,
                file,
                "tensor " + Printable.name(name) + " has " + bytes + " bytes by its type and shape, but " + supplied
                        + " were supplied");
    }

    @Override
    public boolean isOpen() {
        return true;
    }

    @Override
    public void close() {}
}
