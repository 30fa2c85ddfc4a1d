package io.talaria.placement;

import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.quant.TensorType;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.IntFunction;

/**
 * How a model is to be used.
 *
 * @param options what is allocated
 * @param prepare composes the steps that will run ({@link Decoder#prepare})
 * @param forContext the same for another context, where there is a choice
 * @param unstreamed what to do where {@link Streaming} has no room or is of no use; empty if it must be as it is
 */
public record PlanSetting(
        DecoderOptions options,
        Consumer<Decoder> prepare,
        Optional<IntFunction<PlanSetting>> forContext,
        Optional<PlanSetting> unstreamed) {
    public PlanSetting(
            DecoderOptions options, Consumer<Decoder> prepare, Optional<IntFunction<PlanSetting>> forContext) {
        this(options, prepare, forContext, Optional.empty());
    }

    /** The same with a KV cache of another type. */
    PlanSetting withKv(TensorType type) {
        return new PlanSetting(
                options.withKv(type),
                prepare,
                forContext.map(other -> context -> other.apply(context).withKv(type)),
                unstreamed.map(other -> other.withKv(type)));
    }

    /**
     * The same with streaming.
     *
     * @param fromRows of the smallest batch that is streamed
     * @param maxRows of a batch
     * @param optional whether this setting will do where that has no room
     */
    PlanSetting streaming(int fromRows, int maxRows, boolean optional) {
        return new PlanSetting(
                options.withStreaming(fromRows).withMaxRows(maxRows),
                prepare,
                forContext.map(other -> context -> other.apply(context).streaming(fromRows, maxRows, optional)),
                optional ? Optional.of(this) : Optional.empty());
    }
}
