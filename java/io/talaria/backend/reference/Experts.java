package io.talaria.backend.reference;

import io.talaria.backend.Activations;
import io.talaria.backend.ExpertWeights;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Routing and the expert feed-forward networks. */
final class Experts {
    private Experts() {}

    /**
     * The experts with the largest logits, largest first, ties to the lower id, and the softmax over their logits.
     *
     * @param logits {@code [E]} from {@code at} on
     * @param routing receives the ids, then the weights as float bits, from {@code routingAt} on
     */
    static void choose(double[] logits, int at, int experts, int[] routing, int routingAt, int used) {
        boolean[] taken = new boolean[experts];
        double[] weights = new double[used];
        for (int k = 0; k < used; k++) {
            int best = -1;
            for (int e = 0; e < experts; e++) {
                if (!taken[e] && (best < 0 || better(logits[at + e], logits[at + best]))) {
                    best = e;
                }
            }
            taken[best] = true;
            routing[routingAt + k] = best;
            weights[k] = logits[at + best];
        }
        Maths.softmax(weights, used);
        for (int k = 0; k < used; k++) {
            routing[routingAt + used + k] = Float.floatToRawIntBits((float) weights[k]);
        }
    }

    private static boolean better(double candidate, double best) {
        return candidate > best || (Double.isNaN(best) && !Double.isNaN(candidate));
    }

    /** Where an expert lies among those held here, or -1. */
    private static int plane(ExpertWeights weights, int id) {
        int plane = id;
        if (weights.map().isPresent()) {
            int[] map = ReferenceTensor.ints(weights.map().get()).values();
            plane = id >= 0 && id < map.length ? map[id] : -1;
        }
        return plane >= 0 && plane < weights.gate().shape().planes() ? plane : -1;
    }

    /**
     * slots[row][k] = weight · down(silu(gate · h) ⊙ up · h).
     *
     * @param slots {@code [rows][K][H]}, written
     * @param h {@code [rows][H]}
     * @param routing {@code [rows][2 * K]}
     */
    static void run(
            double[] slots, double[] h, int[] routing, int rows, int used, ExpertWeights weights, Activations mode) {
        ReferenceTensor.Weight gate = ReferenceTensor.weight(weights.gate());
        ReferenceTensor.Weight up = ReferenceTensor.weight(weights.up());
        ReferenceTensor.Weight down = ReferenceTensor.weight(weights.down());
        int hidden = Math.toIntExact(gate.shape().columns());
        Arrays.fill(slots, 0, rows * used * hidden, 0);
        for (int plane = 0; plane < gate.shape().planes(); plane++) {
            List<int[]> pairs = pairs(routing, rows, used, plane, weights);
            if (pairs.isEmpty()) {
                continue;
            }
            double[] in = new double[pairs.size() * hidden];
            for (int i = 0; i < pairs.size(); i++) {
                System.arraycopy(h, pairs.get(i)[0] * hidden, in, i * hidden, hidden);
            }
            double[] gated = Maths.matmul(gate, plane, in, pairs.size(), mode);
            double[] upped = Maths.matmul(up, plane, in, pairs.size(), mode);
            for (int i = 0; i < gated.length; i++) {
                gated[i] = Maths.silu(gated[i]) * upped[i];
            }
            double[] out = Maths.matmul(down, plane, gated, pairs.size(), mode);
            for (int i = 0; i < pairs.size(); i++) {
                int row = pairs.get(i)[0];
                int k = pairs.get(i)[1];
                float weight = Float.intBitsToFloat(routing[row * 2 * used + used + k]);
                for (int j = 0; j < hidden; j++) {
                    slots[(row * used + k) * hidden + j] = weight * out[i * hidden + j];
                }
            }
        }
    }

    /** The (row, k) pairs that this plane computes, in order. */
    private static List<int[]> pairs(int[] routing, int rows, int used, int plane, ExpertWeights weights) {
        List<int[]> pairs = new ArrayList<>();
        for (int row = 0; row < rows; row++) {
            for (int k = 0; k < used; k++) {
                if (plane(weights, routing[row * 2 * used + k]) == plane) {
                    pairs.add(new int[] {row, k});
                }
            }
        }
        return pairs;
    }
}
