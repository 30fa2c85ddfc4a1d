package io.talaria.backend;

/**
 * How a device is opened.
 *
 * @param threads of a device that computes on the processor; 0 for one per core
 */
public record OpenOptions(int threads) {
    public static final OpenOptions DEFAULT = new OpenOptions(0);

    public OpenOptions {
        if (threads < 0 || threads > 1024) {
            throw DeviceException.invalid("threads must be 0 (one per core) to 1024, not " + threads);
        }
    }
}
