package io.talaria.placement;

import io.talaria.backend.TensorSource;
import io.talaria.model.Model;
import io.talaria.model.ModelConfig;
import io.talaria.model.ModelWeights;
import io.talaria.model.ModelWeights.LayerWeights;
import io.talaria.model.Placement;
import io.talaria.model.Placement.LayerPlace;
import java.util.List;
import java.util.OptionalDouble;

/**
 * The most tokens per second that one text can be written with, by the bandwidth of the memories: every token reads all
 * that is shared, one row of the embedding, and the experts that it uses, each of them as likely as any other. Where
 * several devices have experts of a layer, or parts of each, they read at the same time. The KV cache comes on top, as the text grows.
 */
public final class Ceiling {
    private Ceiling() {}

    /** Empty if the bandwidth of a device that reads weights is not known. */
    public static OptionalDouble tokensPerSecond(Model model, MemoryPlan plan) {
        ModelConfig config = model.config();
        ModelWeights weights = model.weights();
        Placement placement = plan.placement();
        double seconds = read(plan, placement.first(), bytes(weights.embedding()) / config.vocabulary())
                + read(plan, placement.last(), bytes(weights.output()) + bytes(weights.outputNorm()));
        for (int i = 0; i < config.layers(); i++) {
            LayerWeights layer = weights.layers().get(i);
            LayerPlace place = placement.layers().get(i);
            double attention = 0;
            for (int device : place.attending()) {
                attention = Math.max(attention, read(plan, device, sum(layer.shared()) * place.attentionShare(device)));
            }
            seconds += attention;
            double used = sum(layer.experts()) * config.expertsUsed() / config.experts();
            double slowest = 0;
            for (int device : place.sources()) {
                slowest = Math.max(slowest, read(plan, device, used * place.share(device)));
            }
            seconds += slowest;
        }
        return Double.isNaN(seconds) ? OptionalDouble.empty() : OptionalDouble.of(1 / seconds);
    }

    /** Seconds; NaN if nobody knows. */
    private static double read(MemoryPlan plan, int device, double bytes) {
        return bytes
                / 1e9
                / plan.shares().get(device).device().gigabytesPerSecond().orElse(Double.NaN);
    }

    private static double sum(List<TensorSource> sources) {
        return sources.stream().mapToDouble(Ceiling::bytes).sum();
    }

    private static double bytes(TensorSource source) {
        return source.type().bytes(source.shape().elements());
    }
}
