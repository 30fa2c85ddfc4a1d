package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.Shape;
import io.talaria.quant.TensorType;
import io.talaria.validate.Verbs.Routed;
import java.util.List;

/** Cases of {@code route}: two experts tie in every row. */
final class RouteCases {
    private static final float EPSILON = 1e-5f;

    private RouteCases() {}

    static void add(CaseList cases, List<Activations> modes) {
        for (TensorType type : List.of(TensorType.F32, TensorType.F16, TensorType.BF16)) {
            for (Activations mode : modes) {
                cases.add(seed -> make(seed, type, mode, 1, 256, 8, 2));
                cases.add(seed -> make(seed, type, mode, 3, 70, 5, 5));
                cases.add(seed -> make(seed, type, mode, 33, 512, 8, 2));
                cases.add(seed -> make(seed, type, mode, 200, 64, 33, 7));
                cases.add(seed -> make(seed, type, mode, 7, 4096, 128, 8));
            }
        }
    }

    private static OpCase<?> make(
            int seed, TensorType type, Activations mode, int rows, int hidden, int experts, int used) {
        MadeWeight norm = MadeWeight.norm(hidden, seed);
        MadeWeight router = MadeWeight.random("router", type, Shape.of(experts, hidden), seed + 1)
                .withTie(1, experts - 1);
        float[] x = Inputs.random(rows, hidden, seed + 2);
        double bound = routing(type);
        return OpCase.of(
                "route",
                type.name(),
                rows + " rows of " + hidden + ", " + used + " of " + experts + " experts",
                mode,
                verbs ->
                        verbs.route(Batches.rows(rows), x, norm, router, EPSILON, verbs.onReference() ? experts : used),
                (computed, expected) -> findings(computed, expected, hidden, used, experts, bound));
    }

    /** Routers meet activations in float32, in every mode. */
    static double routing(TensorType router) {
        return Bounds.product(router, Activations.INT8);
    }

    /** @param expected routes to all experts */
    static List<Finding> findings(Routed computed, Routed expected, int hidden, int used, int experts, double bound) {
        return List.of(
                Compare.rows("h", computed.h(), expected.h(), hidden, Bounds.FLOAT32),
                CompareRouting.rows(computed.routing(), expected.routing(), used, experts, bound));
    }
}
