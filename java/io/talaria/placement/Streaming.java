package io.talaria.placement;

import io.talaria.backend.TensorSource;
import io.talaria.model.Model;
import io.talaria.model.ModelWeights.LayerWeights;
import java.util.List;
import java.util.OptionalInt;

/**
 * Whether experts that the cpu has are computed by the device beside it for long prompts, for which that reads them from the
 * file, layer by layer.
 *
 * @param rows of the smallest batch for which that is done, 0 for none; empty: where it should be faster, and there is room
 */
public record Streaming(OptionalInt rows) {
    public static final Streaming AUTO = new Streaming(OptionalInt.empty());
    public static final Streaming OFF = new Streaming(OptionalInt.of(0));

    /** Rows of a batch at most, unless said otherwise: each batch reads all of the cpu's experts once. */
    public static final int CHUNK = 512;

    /**
     * Operations that a cpu computes while one byte comes from host memory to a GPU: 1.3 * 10^12 per second and 12.5 GB/s. It
     * is estimated, and puts Mixtral in Q4_K_M at 128 rows.
     */
    private static final double CPU_OPERATIONS_PER_BYTE = 105;

    /** @throws IllegalArgumentException if the number is negative */
    public Streaming {
        if (rows.isPresent() && rows.getAsInt() < 0) {
            throw new IllegalArgumentException("prompts are streamed from 1 row on, not from " + rows.getAsInt());
        }
    }

    /**
     * A setting with streaming, if these devices are to stream.
     *
     * @param devices names; the first is the home
     * @param chunk rows that their batches may have at least, if they stream; 0: as many as the setting says
     * @throws IllegalArgumentException if it is asked for, and results may not depend on the batch
     */
    public PlanSetting apply(PlanSetting plain, Model model, List<String> devices, int chunk) {
        boolean invariant = plain.options().batchInvariant();
        if (rows.isPresent() && rows.getAsInt() > 0 && invariant) {
            throw new IllegalArgumentException(
                    "prompts of " + rows.getAsInt() + " tokens and more cannot be streamed where"
                            + " an answer may not depend on what else is computed: other devices give other bits");
        }
        if (rows.isPresent() && rows.getAsInt() > 0 && devices.stream().skip(1).noneMatch(Streaming::isHost)) {
            throw new IllegalArgumentException(
                    "prompts of " + rows.getAsInt() + " tokens and more cannot be streamed to " + devices.getFirst()
                            + ": there is no cpu beside it that has experts");
        }
        int from = rows.orElseGet(() -> !invariant && isGpuWithCpu(devices) ? crossing(model) : 0);
        int raised = chunk > 0 && rows.isPresent() ? Math.max(chunk, from) : chunk;
        int most = Math.max(plain.options().maxRows(), raised);
        return from == 0 || from > most ? plain : plain.streaming(from, most, rows.isEmpty());
    }

    private static boolean isGpuWithCpu(List<String> devices) {
        return !isHost(devices.getFirst()) && devices.stream().anyMatch(Streaming::isHost);
    }

    private static boolean isHost(String device) {
        return device.equals("cpu") || device.startsWith("cpu:");
    }

    /**
     * The rows for which the cpu should need as long as the experts on their way to the GPU; how many of them it has does not
     * matter.
     */
    static int crossing(Model model) {
        double bytes = 0;
        double values = 0;
        for (LayerWeights layer : model.weights().layers()) {
            for (TensorSource source : layer.experts()) {
                values += source.shape().elements();
                bytes += source.type().bytes(source.shape().elements());
            }
        }
        double used = (double) model.config().expertsUsed() / model.config().experts();
        double operations = 2 * values * used; // of a row
        return (int) Math.ceil(bytes * CPU_OPERATIONS_PER_BYTE / operations);
    }
}
