package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.Batch;
import io.talaria.backend.Shape;
import io.talaria.backend.TensorSource;
import io.talaria.model.ModelWeights.LayerWeights;
import io.talaria.quant.TensorType;
import io.talaria.validate.Verbs.ExpertSources;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Which weights of an expert are behind a failure: its gate and up are run again, with a down that is made up. */
final class ExpertSuspect {
    private ExpertSuspect() {}

    /** One expert of a stacked weight. */
    private record Plane(TensorSource stacked, int plane) implements TensorSource {
        @Override
        public String name() {
            return stacked.name();
        }

        @Override
        public TensorType type() {
            return stacked.type();
        }

        @Override
        public Shape shape() {
            return Shape.of(stacked.shape().rows(), stacked.shape().columns());
        }

        @Override
        public void read(long offset, ByteBuffer target) throws IOException {
            stacked.read(plane * type().bytes(shape().elements()) + offset, target);
        }
    }

    /**
     * Names the suspect.
     *
     * @param routing {@code [R][2 * K]}
     * @param slot {@code row * K + k}, the one that is wrong
     */
    static String name(
            Rig reference,
            Rig device,
            Activations mode,
            Batch batch,
            float[] h,
            int[] routing,
            int slot,
            LayerWeights weights)
            throws IOException {
        int used = routing.length / batch.rows() / 2;
        int expert = routing[slot / used * 2 * used + slot % used];
        int[] map = new int[Math.toIntExact(weights.gate().shape().planes())];
        Arrays.fill(map, -1);
        map[expert] = 0;
        Plane gate = new Plane(weights.gate(), expert);
        Plane up = new Plane(weights.up(), expert);
        Shape downShape =
                Shape.of(weights.down().shape().rows(), weights.down().shape().columns());
        ExpertSources sources = new ExpertSources(
                gate, up, MadeWeight.random("down", TensorType.F32, downShape, expert), Optional.of(map));
        double bound = Math.max(Bounds.product(gate.type(), mode), Bounds.product(up.type(), mode));
        OpCase<float[]> half = OpCase.of(
                "experts",
                "",
                "gate and up",
                mode,
                verbs -> verbs.experts(batch, h, routing, sources),
                (computed, expected) -> List.of(Compare.slots("slots", computed, expected, routing, used, bound)));
        boolean right = half.run(reference, device).checks().stream().allMatch(Check::ok);
        return right
                ? "with another down this expert is right, so look at "
                        + weights.down().name()
                : "with another down this expert is wrong too, so look at "
                        + weights.gate().name() + " and " + weights.up().name();
    }
}
