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
 */
public record PlanSetting(
        DecoderOptions options, Consumer<Decoder> prepare, Optional<IntFunction<PlanSetting>> forContext) {
    /** The same with a KV cache of another type. */
    PlanSetting withKv(TensorType type) {
        return new PlanSetting(
                options.withKv(type),
                prepare,
                forContext.map(other -> context -> other.apply(context).withKv(type)));
    }
}
