package io.talaria.model;

import io.talaria.backend.Shape;
import io.talaria.backend.TensorSource;
import io.talaria.gguf.GgufFile;
import io.talaria.gguf.GgufTensor;
import io.talaria.model.ModelWeights.LayerWeights;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Finds every weight of a model in its file, in either layout of the experts, and refuses what is missing, misshapen or
 * left over: a tensor that the forward pass would not use is one whose effect would be silently lost.
 */
final class WeightFinder {
    private static final Set<TensorType> NORMS = EnumSet.of(TensorType.F32);
    private static final Set<TensorType> ROUTERS = EnumSet.of(TensorType.F32, TensorType.F16, TensorType.BF16);
    private static final Set<TensorType> MATRICES = EnumSet.complementOf(
            EnumSet.of(TensorType.I8, TensorType.I16, TensorType.I32, TensorType.I64, TensorType.F64));

    private final GgufFile file;
    private final String path;
    private final ModelConfig config;
    private final Set<String> used = new HashSet<>();

    WeightFinder(GgufFile file, ModelConfig config) {
        this.file = file;
        this.path = file.paths().getFirst().toString();
        this.config = config;
    }

    ModelWeights find() throws IOException {
        ExpertLayout layout = layout();
        int hidden = config.hidden();
        TensorSource embedding = find(WeightNames.EMBEDDING, MATRICES, Shape.of(config.vocabulary(), hidden));
        List<LayerWeights> layers = new ArrayList<>();
        for (int layer = 0; layer < config.layers(); layer++) {
            layers.add(layer(layer, layout));
        }
        TensorSource norm = find(WeightNames.OUTPUT_NORM, NORMS, Shape.of(hidden));
        TensorSource output = file.tensor(WeightNames.OUTPUT).isEmpty()
                ? embedding
                : find(WeightNames.OUTPUT, MATRICES, Shape.of(config.vocabulary(), hidden));
        refuseLeftovers();
        return new ModelWeights(layout, embedding, List.copyOf(layers), norm, output);
    }

    private ExpertLayout layout() {
        if (config.experts() == 0) {
            return ExpertLayout.DENSE;
        }
        boolean split =
                file.tensor(WeightNames.ofExpert(0, WeightNames.GATE, 0)).isPresent();
        return split ? ExpertLayout.SPLIT : ExpertLayout.STACKED;
    }

    private LayerWeights layer(int layer, ExpertLayout layout) throws IOException {
        int hidden = config.hidden();
        int ffn = config.ffn();
        return new LayerWeights(
                find(WeightNames.of(layer, WeightNames.ATTENTION_NORM), NORMS, Shape.of(hidden)),
                find(WeightNames.of(layer, WeightNames.QUERY), MATRICES, Shape.of(config.queryWidth(), hidden)),
                find(WeightNames.of(layer, WeightNames.KEY), MATRICES, Shape.of(config.kvWidth(), hidden)),
                find(WeightNames.of(layer, WeightNames.VALUE), MATRICES, Shape.of(config.kvWidth(), hidden)),
                find(
                        WeightNames.of(layer, WeightNames.ATTENTION_OUTPUT),
                        MATRICES,
                        Shape.of(hidden, config.queryWidth())),
                find(WeightNames.of(layer, WeightNames.FFN_NORM), NORMS, Shape.of(hidden)),
                layout == ExpertLayout.DENSE
                        ? null
                        : find(WeightNames.of(layer, WeightNames.ROUTER), ROUTERS, Shape.of(config.experts(), hidden)),
                experts(layer, layout, WeightNames.GATE, ffn, hidden),
                experts(layer, layout, WeightNames.UP, ffn, hidden),
                experts(layer, layout, WeightNames.DOWN, hidden, ffn));
    }

    private TensorSource experts(int layer, ExpertLayout layout, String name, int rows, int columns)
            throws IOException {
        return switch (layout) {
            case DENSE -> find(WeightNames.of(layer, name), MATRICES, Shape.of(rows, columns));
            case STACKED -> find(WeightNames.stacked(layer, name), MATRICES, Shape.of(config.experts(), rows, columns));
            case SPLIT -> split(layer, name, Shape.of(rows, columns));
        };
    }

    /** The experts of one projection, each a tensor of its own: presented as one, so that nobody else knows. */
    private TensorSource split(int layer, String name, Shape each) throws IOException {
        List<GgufTensor> parts = new ArrayList<>();
        for (int expert = 0; expert < config.experts(); expert++) {
            GgufTensor part = tensor(WeightNames.ofExpert(layer, name, expert), MATRICES, each);
            if (part.type() != parts.stream().findFirst().orElse(part).type()) {
                throw new ModelException(path + ": the experts of '" + WeightNames.of(layer, name)
                        + "' are of different types, which no device can hold together");
            }
            parts.add(part);
        }
        Shape shape = Shape.of(config.experts(), each.rows(), each.columns());
        return new GgufSource(
                file, WeightNames.stacked(layer, name), parts.getFirst().type(), shape, parts);
    }

    private TensorSource find(String name, Set<TensorType> types, Shape shape) throws IOException {
        GgufTensor tensor = tensor(name, types, shape);
        return new GgufSource(file, name, tensor.type(), shape, List.of(tensor));
    }

    private GgufTensor tensor(String name, Set<TensorType> types, Shape shape) throws IOException {
        GgufTensor tensor = file.tensor(name)
                .orElseThrow(() -> new ModelException(path + ": the tensor '" + name + "' is missing"));
        if (!shape.equals(shapeOf(tensor))) {
            throw new ModelException(path + ": the tensor '" + name + "' has shape " + tensor.shape()
                    + " where the metadata calls for " + inFileOrder(shape));
        }
        if (!types.contains(tensor.type())) {
            throw new ModelException(
                    path + ": the tensor '" + name + "' is " + tensor.type() + ", which must be one of " + types);
        }
        used.add(name);
        return tensor;
    }

    /** GGUF lists the innermost dimension first, and may leave out outer ones. */
    private static Shape shapeOf(GgufTensor tensor) {
        long[] dims = {1, 1, 1, 1};
        for (int i = 0; i < tensor.shape().size(); i++) {
            dims[i] = tensor.shape().get(i);
        }
        return new Shape(dims[3], dims[2], dims[1], dims[0]);
    }

    private static List<Long> inFileOrder(Shape shape) {
        List<Long> dims = new ArrayList<>(List.of(shape.columns(), shape.rows(), shape.planes(), shape.outer()));
        while (dims.size() > 1 && dims.getLast() == 1) {
            dims.removeLast();
        }
        return dims;
    }

    private void refuseLeftovers() throws IOException {
        for (GgufTensor tensor : file.tensors()) {
            if (!used.contains(tensor.name())) {
                throw new ModelException(path + ": the tensor '" + tensor.name()
                        + "' is no part of a Mixtral model, and leaving it out would change the answers");
            }
        }
    }
}
