package io.talaria.validate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.KvCache;
import io.talaria.backend.Shape;
import io.talaria.quant.TensorType;
import io.talaria.validate.Verbs.AttentionSources;
import io.talaria.validate.Verbs.ExpertSources;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The verbs of every device here against the reference, case by case as {@code validate} runs them. */
class DifferentialTest {
    private static final int HIDDEN = 256;
    private static final int ROWS = 6;
    private static final int USED = 2;

    static Stream<String> devices() {
        return Backends.all().stream()
                .filter(backend -> !backend.name().equals("reference"))
                .flatMap(backend -> backend.devices().stream())
                .map(DeviceInfo::device);
    }

    @ParameterizedTest
    @MethodSource("devices")
    void everyVerbIsThatOfTheReference(String device) throws IOException {
        List<Check> checks = new ArrayList<>();
        try (Device reference = Backends.open("reference");
                Device tested = Backends.open(device)) {
            OpValidation.run(reference, tested, OpValidation.modes(tested), checks::add, ValidationProgress.NONE);
        }
        assertEquals(List.of(), checks.stream().filter(check -> !check.ok()).toList());
        for (String verb : new String[] {
            "embed",
            "attentionInput",
            "attention",
            "attentionOutput",
            "route",
            "experts",
            "addSlots",
            "topLogits",
            "copy",
            "zero"
        }) {
            assertTrue(checks.stream().anyMatch(check -> check.verb().equals(verb)), verb);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void aPlacementOfExpertsChangesNoBit(String device) throws IOException {
        for (TensorType type : new TensorType[] {TensorType.F32, TensorType.Q4_K, TensorType.Q6_K}) {
            try (Device tested = Backends.open(device)) {
                for (Activations mode : OpValidation.modes(tested)) {
                    float[] whole = experts(tested, mode, type, new int[][] {{0, 1, 2, 3, 4}});
                    float[] parts = experts(tested, mode, type, new int[][] {{0, -1, 1, -1, -1}, {-1, 0, -1, 1, 2}});
                    assertTrue(whole[0] != 0);
                    assertArrayEquals(whole, parts, type + " " + mode);
                }
            }
        }
    }

    /** Experts spread over sources as the maps say, each with the weights that it has in every placement; and their sum. */
    private static float[] experts(Device device, Activations mode, TensorType type, int[][] maps) throws IOException {
        float[] h = Inputs.random(ROWS, HIDDEN, 1);
        float[] slots = new float[maps.length * ROWS * USED * HIDDEN];
        int[] routing = new int[ROWS * 2 * USED];
        for (int row = 0; row < ROWS; row++) {
            for (int k = 0; k < USED; k++) {
                routing[row * 2 * USED + k] = (row + 2 * k) % 5;
                routing[row * 2 * USED + USED + k] = Float.floatToRawIntBits(k == 0 ? 0.7f : 0.3f);
            }
        }
        Batch batch = new Batch(BatchShape.of(ROWS, 1, 1));
        for (int row = 0; row < ROWS; row++) {
            batch.addRow(0, row, 0);
        }
        try (Rig rig = new Rig(device)) {
            Verbs verbs = new Verbs(rig, mode, false);
            for (int part = 0; part < maps.length; part++) {
                float[] own = verbs.experts(batch, h, routing, held(type, maps[part]));
                System.arraycopy(own, 0, slots, part * own.length, own.length);
            }
            return verbs.addSlots(batch, Inputs.random(ROWS, HIDDEN, 2), slots, maps.length, USED);
        }
    }

    private static ExpertSources held(TensorType type, int[] map) {
        return new ExpertSources(
                stacked("gate", type, map, 0),
                stacked("up", type, map, 100),
                stacked("down", type, map, 200),
                Optional.of(map));
    }

    private static MadeWeight stacked(String name, TensorType type, int[] map, int seed) {
        Shape each = Shape.of(HIDDEN, HIDDEN);
        int planes = 1 + Arrays.stream(map).max().orElseThrow();
        int planeBytes = Math.toIntExact(type.bytes(each.elements()));
        byte[] bytes = new byte[planes * planeBytes];
        for (int expert = 0; expert < map.length; expert++) {
            if (map[expert] >= 0) {
                byte[] own = MadeWeight.random(name, type, each, seed + expert).bytes();
                System.arraycopy(own, 0, bytes, map[expert] * planeBytes, planeBytes);
            }
        }
        return new MadeWeight(name, type, Shape.of(planes, HIDDEN, HIDDEN), bytes);
    }

    @ParameterizedTest
    @MethodSource("devices")
    void whereBlocksLieChangesNoBit(String device) throws IOException {
        try (Device tested = Backends.open(device)) {
            for (TensorType kv : new TensorType[] {TensorType.F32, TensorType.F16, TensorType.Q8_0}) {
                float[] scattered = attention(tested, kv, new int[][] {{3, 0, 5}, {4, 1, 2}});
                float[] ordered = attention(tested, kv, new int[][] {{0, 1, 2}, {3, 4, 5}});
                assertTrue(ordered[0] != 0);
                assertArrayEquals(ordered, scattered, kv.name());
            }
        }
    }

    /** Two sequences of 11 positions in blocks of 4, in batches of 5: attended rows of the last batch. */
    private static float[] attention(Device device, TensorType type, int[][] blocks) throws IOException {
        int dim = 32;
        AttentionSources sources = new AttentionSources(
                MadeWeight.norm(HIDDEN, 1),
                MadeWeight.random("query", TensorType.F32, Shape.of(4 * dim, HIDDEN), 2),
                MadeWeight.random("key", TensorType.F32, Shape.of(2 * dim, HIDDEN), 3),
                MadeWeight.random("value", TensorType.F32, Shape.of(2 * dim, HIDDEN), 4),
                dim,
                1e4f,
                1e-5f);
        try (Rig rig = new Rig(device)) {
            Verbs verbs = new Verbs(rig, Activations.HALF, false);
            KvCache kv = rig.cache(type, new Shape(1, 6, 4, 2 * dim), dim);
            float[] attended = {};
            for (int begin = 0; begin < 11; begin += 5) {
                Batch batch = new Batch(BatchShape.of(10, 2, 3));
                for (int sequence = 0; sequence < 2; sequence++) {
                    for (int column = 0; column < 3; column++) {
                        batch.setBlock(sequence, column, blocks[sequence][column]);
                    }
                    for (int position = begin; position < Math.min(11, begin + 5); position++) {
                        batch.addRow(0, position, sequence);
                    }
                }
                float[] x = Inputs.random(batch.rows(), HIDDEN, begin);
                float[] q = verbs.attentionInput(batch, x, sources, kv, 0);
                attended = verbs.attention(batch, q, 4 * dim, kv, 0);
            }
            return attended;
        }
    }
}
