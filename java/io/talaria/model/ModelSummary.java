package io.talaria.model;

import io.talaria.backend.TensorSource;
import io.talaria.model.ModelWeights.LayerWeights;
import io.talaria.quant.TensorType;
import java.util.Map;
import java.util.TreeMap;

/**
 * What a model weighs.
 *
 * @param parameters all weights
 * @param activeParameters weights that one token meets; of the embedding all rows are counted, as papers do
 * @param weightBytes bytes of all weights
 * @param bytesPerToken bytes of weights that a decoder reads for one token: one row of the embedding, the experts used,
 *     and everything else
 * @param tensorTypes how many tensors of the file have each type
 */
public record ModelSummary(
        long parameters,
        long activeParameters,
        long weightBytes,
        long bytesPerToken,
        Map<TensorType, Integer> tensorTypes) {

    public static ModelSummary of(Model model) {
        ModelWeights weights = model.weights();
        ModelConfig config = model.config();
        long parameters = 0;
        long bytes = 0;
        for (TensorSource source : weights.all()) {
            parameters += source.shape().elements();
            bytes += bytes(source);
        }
        long idleParameters = 0;
        long idleBytes = bytes(weights.embedding()) - bytes(weights.embedding()) / config.vocabulary();
        if (weights.output() == weights.embedding()) {
            idleBytes = 0; // the output product reads all of it
        }
        for (LayerWeights layer : weights.layers()) {
            for (TensorSource experts : layer.experts()) {
                long planes = experts.shape().planes();
                long idle = config.experts() == 0 ? 0 : planes - config.expertsUsed();
                idleParameters += experts.shape().elements() / planes * idle;
                idleBytes += bytes(experts) / planes * idle;
            }
        }
        Map<TensorType, Integer> types = new TreeMap<>();
        model.file().tensors().forEach(tensor -> types.merge(tensor.type(), 1, Integer::sum));
        return new ModelSummary(parameters, parameters - idleParameters, bytes, bytes - idleBytes, types);
    }

    private static long bytes(TensorSource source) {
        return source.type().bytes(source.shape().elements());
    }
}
