package io.talaria.model;

import io.talaria.backend.DeviceException;
import io.talaria.backend.DeviceInfo;
import java.util.Locale;

/** Whether a model fits on a device, found out before it is loaded. */
public final class DeviceRoom {
    private DeviceRoom() {}

    /**
     * Refuses a model whose weights and KV cache are larger than the device's free memory.
     *
     * @throws DeviceException if they are; the message says how large, and what to change
     */
    public static void require(Model model, DeviceInfo device, DecoderOptions options) {
        long weights = ModelSummary.of(model).weightBytes();
        long cache = kvBytes(model.config(), options);
        if (weights + cache > device.freeBytes()) {
            throw new DeviceException(
                    DeviceException.Kind.OUT_OF_MEMORY,
                    String.format(
                            Locale.ROOT,
                            "%s does not fit on %s: its weights take %.2f GB, its KV cache %.2f GB, and %.2f GB are"
                                    + " free; choose a smaller format, fewer layers or a shorter context",
                            model.file().paths().getFirst(),
                            device.device(),
                            weights / 1e9,
                            cache / 1e9,
                            device.freeBytes() / 1e9));
        }
    }

    /** Bytes of the whole cache. */
    static long kvBytes(ModelConfig config, DecoderOptions options) {
        long positions = (long) options.kvBlocks() * DecoderOptions.POSITIONS_PER_BLOCK;
        return 2L * config.layers() * positions * options.kvType().bytes(config.kvWidth());
    }
}
