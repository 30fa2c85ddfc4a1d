package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.Shape;
import io.talaria.quant.TensorType;
import io.talaria.validate.Verbs.ExpertSources;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;

/**
 * Cases of {@code experts}. In a mode of int8 the values between the two products are rounded too, and two correct devices
 * may round a few of them to different sides. So beside the whole, whose bound allows for that, the halves are compared
 * strictly: gate and up with a down in F32, which sees what is between as it is; and down behind a gate and an up in F32
 * that make values which no device can round in two ways.
 */
final class ExpertCases {
    private ExpertCases() {}

    /** Formats of the three projections, and what to call them. */
    private record Types(String name, TensorType gate, TensorType up, TensorType down) {
        static Types of(TensorType type) {
            return new Types(type.name(), type, type, type);
        }

        /** Row lengths that suit gate and up, and down. */
        int hidden() {
            return Formats.columns(gate.blockElements() >= up.blockElements() ? gate : up, 256);
        }

        int ffn(int about) {
            return Formats.columns(down, about);
        }
    }

    /**
     * @param experts E, of which all are held, or those that the map names
     * @param map the plane of each expert or -1; none: all are held in order
     */
    private record Size(int rows, int used, int experts, Optional<int[]> map, int hidden, int ffn) {
        int planes() {
            return map.map(ids -> 1 + Arrays.stream(ids).max().orElseThrow()).orElse(experts);
        }

        @Override
        public String toString() {
            return rows + " rows of " + hidden + ", " + used + " of " + experts + " experts of " + ffn
                    + map.map(ids -> ", " + planes() + " held").orElse("");
        }
    }

    static void add(CaseList cases, List<Activations> modes) {
        List<Types> types = new ArrayList<>(Formats.ALL.stream().map(Types::of).toList());
        types.add(new Types("Q4_K Q4_K Q6_K", TensorType.Q4_K, TensorType.Q4_K, TensorType.Q6_K));
        types.add(new Types("Q5_K Q8_0 Q4_0", TensorType.Q5_K, TensorType.Q8_0, TensorType.Q4_0));
        types.add(new Types("Q4_K Q4_K F16", TensorType.Q4_K, TensorType.Q4_K, TensorType.F16));
        for (Types type : types) {
            for (Activations mode : modes) {
                Optional<int[]> all = Optional.empty();
                Optional<int[]> three = Optional.of(new int[] {1, -1, 0, -1, 2});
                Optional<int[]> two = Optional.of(new int[] {-1, 0, -1, -1, 1});
                add(cases, type, mode, new Size(1, 2, 8, all, type.hidden(), type.ffn(512)));
                add(cases, type, mode, new Size(2, 1, 3, all, type.hidden(), type.ffn(768)));
                add(cases, type, mode, new Size(3, 2, 5, three, type.hidden(), type.ffn(256)));
                add(cases, type, mode, new Size(7, 3, 5, two, type.hidden(), type.ffn(256)));
                add(cases, type, mode, new Size(33, 2, 8, all, type.hidden(), type.ffn(512)));
            }
        }
    }

    /** Which half is compared strictly, or the whole. */
    private enum Part {
        WHOLE,
        GATE_UP,
        DOWN
    }

    private static void add(CaseList cases, Types types, Activations mode, Size size) {
        cases.add(seed -> make(seed, types, mode, size, Part.WHOLE));
        if (rounds(types, mode)) {
            cases.add(seed -> make(seed, types, mode, size, Part.GATE_UP));
            cases.add(seed -> make(seed, types, mode, size, Part.DOWN));
        }
    }

    /** Whether what is between the products is rounded to int8. */
    private static boolean rounds(Types types, Activations mode) {
        return mode != Activations.HALF && types.down().quantised();
    }

    private static OpCase<?> make(int seed, Types types, Activations mode, Size size, Part part) {
        int[] routing = routing(size, seed);
        int hidden = size.hidden();
        float[] h = part == Part.DOWN
                ? oneHot(size.rows(), hidden)
                : Inputs.settle(Inputs.random(size.rows(), hidden, seed + 1), hidden, mode);
        ExpertSources sources = sources(seed + 2, types, mode, size, part);
        return OpCase.of(
                "experts",
                types.name(),
                size + (part == Part.WHOLE ? "" : part == Part.DOWN ? ", down" : ", gate and up"),
                mode,
                verbs -> verbs.experts(Batches.rows(size.rows()), h, routing, sources),
                (computed, expected) -> List.of(
                        Compare.slots("slots", computed, expected, routing, size.used(), bound(types, mode, part))));
    }

    private static double bound(Types types, Activations mode, Part part) {
        return switch (part) {
            case GATE_UP -> Math.max(Bounds.product(types.gate(), mode), Bounds.product(types.up(), mode));
            case DOWN -> Bounds.product(types.down(), mode);
            case WHOLE -> Bounds.experts(types.gate(), types.up(), types.down(), mode);
        };
    }

    private static ExpertSources sources(int seed, Types types, Activations mode, Size size, Part part) {
        int hidden = size.hidden();
        int ffn = size.ffn();
        TensorType downType = part == Part.GATE_UP ? TensorType.F32 : types.down();
        MadeWeight down = weight("down", downType, size.planes(), hidden, ffn, seed);
        if (part == Part.DOWN) {
            return codes(down, size, mode, seed + 1);
        }
        return new ExpertSources(
                weight("gate", types.gate(), size.planes(), ffn, hidden, seed + 1),
                weight("up", types.up(), size.planes(), ffn, hidden, seed + 2),
                down,
                size.map());
    }

    private static MadeWeight weight(String name, TensorType type, int planes, int rows, int columns, int seed) {
        return MadeWeight.random(name, type, Shape.of(planes, rows, columns), seed);
    }

    /**
     * A row's h is 1 at the row's own place and 0 elsewhere, so that place of gate and up is what the row's values are
     * made of: silu(4) times a value of up, which is kept far from where int8 codes part.
     */
    private static float[] oneHot(int rows, int hidden) {
        float[] h = new float[rows * hidden];
        for (int row = 0; row < rows; row++) {
            h[row * hidden + row] = 1;
        }
        return h;
    }

    private static ExpertSources codes(MadeWeight down, Size size, Activations mode, int seed) {
        int hidden = size.hidden();
        int ffn = size.ffn();
        float[] gate = new float[size.planes() * ffn * hidden];
        float[] up = new float[gate.length];
        for (int plane = 0; plane < size.planes(); plane++) {
            float[] values = Inputs.settle(Inputs.random(size.rows(), ffn, seed + plane), ffn, mode);
            for (int row = 0; row < size.rows(); row++) {
                for (int j = 0; j < ffn; j++) {
                    int at = (plane * ffn + j) * hidden + row;
                    gate[at] = 4;
                    up[at] = values[row * ffn + j];
                }
            }
        }
        Shape shape = Shape.of(size.planes(), ffn, hidden);
        return new ExpertSources(MadeWeight.of("gate", shape, gate), MadeWeight.of("up", shape, up), down, size.map());
    }

    /** Different experts for every row, with weights that add up to 1; in the last row of several, one that is none. */
    private static int[] routing(Size size, int seed) {
        SplittableRandom random = new SplittableRandom(seed);
        int used = size.used();
        int[] routing = new int[size.rows() * 2 * used];
        for (int row = 0; row < size.rows(); row++) {
            int first = random.nextInt(size.experts());
            double left = 1;
            for (int k = 0; k < used; k++) {
                double weight = k == used - 1 ? left : left * random.nextDouble(0.5, 0.9);
                left -= weight;
                routing[row * 2 * used + k] = (first + k * (size.experts() == 8 ? 3 : 1)) % size.experts();
                routing[row * 2 * used + used + k] = Float.floatToRawIntBits((float) weight);
            }
        }
        if (size.rows() > 1) {
            routing[(size.rows() - 1) * 2 * used] = size.rows() % 2 == 0 ? -1 : size.experts() + 3;
        }
        return routing;
    }
}
