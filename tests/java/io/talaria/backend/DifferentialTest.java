package io.talaria.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GoldenModels;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The same verbs with the same inputs on the reference and on every device here: one lambda, run on both. */
class DifferentialTest {
    private static final int HIDDEN = 64;
    private static final int FFN = 96;
    private static final int EXPERTS = 5;
    private static final int USED = 2;
    private static final int VOCABULARY = 77;
    /** NMSE of one verb with float32 weights. */
    private static final double ONE_OP = 1e-7;

    static Stream<String> devices() {
        return Backends.all().stream()
                .filter(backend -> !backend.name().equals("reference"))
                .flatMap(backend -> backend.devices().stream())
                .map(DeviceInfo::device);
    }

    /** Random F32 values from a seed, with a planted outlier. */
    private record RandomSource(String name, Shape shape, long seed) implements TensorSource {
        @Override
        public TensorType type() {
            return TensorType.F32;
        }

        @Override
        public void read(long offset, ByteBuffer target) {
            ByteBuffer all =
                    ByteBuffer.allocate(Math.toIntExact(4 * shape.elements())).order(ByteOrder.LITTLE_ENDIAN);
            float[] values = random(Math.toIntExact(shape.elements()), seed);
            all.asFloatBuffer().put(values);
            target.put(all.slice(Math.toIntExact(offset), target.remaining()));
        }
    }

    private static float[] random(int count, long seed) {
        Random random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        values[random.nextInt(count)] = 30;
        return values;
    }

    /** What a test does with a device; the floats that it returns are compared. */
    private interface Body {
        float[] run(Device device) throws IOException;
    }

    private static float[][] both(String device, Body body) throws IOException {
        float[][] results = new float[2][];
        try (Device reference = Backends.open("reference")) {
            results[0] = body.run(reference);
        }
        try (Device tested = Backends.open(device)) {
            results[1] = body.run(tested);
        }
        return results;
    }

    private static void agree(String device, Body body) throws IOException {
        float[][] results = both(device, body);
        assertTrue(results[0].length > 0 && Arrays.stream(toDoubles(results[0])).anyMatch(v -> v != 0), "only zeros");
        double error = GoldenModels.nmse(results[1], results[0]);
        assertTrue(error <= ONE_OP, device + ": " + error);
    }

    private static double[] toDoubles(float[] values) {
        double[] doubles = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            doubles[i] = values[i];
        }
        return doubles;
    }

    private static Tensor floats(Device device, String label, Shape shape, long seed) {
        Tensor tensor = device.alloc(label, Tensor.Kind.ACTIVATION, TensorType.F32, shape);
        write(device, tensor, random(Math.toIntExact(shape.elements()), seed));
        return tensor;
    }

    private static void write(Device device, Tensor tensor, float[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        device.write(tensor, 0, bytes);
    }

    private static float[] read(Device device, Tensor tensor) {
        float[] values = new float[Math.toIntExact(tensor.shape().elements())];
        readBytes(device, tensor).asFloatBuffer().get(values);
        return values;
    }

    private static int[] readInts(Device device, Tensor tensor) {
        int[] values = new int[Math.toIntExact(tensor.shape().elements())];
        readBytes(device, tensor).asIntBuffer().get(values);
        return values;
    }

    private static ByteBuffer readBytes(Device device, Tensor tensor) {
        ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(tensor.bytes())).order(ByteOrder.LITTLE_ENDIAN);
        device.read(tensor, 0, bytes);
        return bytes;
    }

    private static Step step(Device device, BatchShape shape) {
        boolean exact = device.info().device().equals("reference");
        return device.newStep(new StepOptions(exact ? Activations.EXACT : Activations.HALF, shape));
    }

    private static Batch rows(BatchShape shape, int rows) {
        Batch batch = new Batch(shape);
        for (int row = 0; row < rows; row++) {
            batch.addRow(row * 3 % VOCABULARY, row, 0);
        }
        return batch;
    }

    @ParameterizedTest
    @MethodSource("devices")
    void embedTakesTheTokensOfTheBatchAndNoMoreRows(String device) throws IOException {
        agree(device, d -> {
            BatchShape shape = BatchShape.of(8, 1, 1);
            Tensor table = d.load(new RandomSource("table", Shape.of(VOCABULARY, HIDDEN), 1));
            Tensor x = floats(d, "x", Shape.of(9, HIDDEN), 2);
            Step step = step(d, shape);
            step.embed(x, table);
            step.end();
            d.run(step, rows(shape, 5));
            return read(d, x); // rows 5 to 8 keep what was there
        });
    }

    /** Routing, then experts, a part of which each of two maps holds, then the sum of the two sources. */
    @ParameterizedTest
    @MethodSource("devices")
    void expertsInTwoPartsAddUp(String device) throws IOException {
        Body parts = d -> experts(d, new int[][] {{0, -1, 1, -1, -1}, {-1, 0, -1, 1, 2}});
        Body whole = d -> experts(d, new int[][] {{0, 1, 2, 3, 4}});
        agree(device, whole);
        agree(device, parts);
        assertArrayEquals(both(device, whole)[1], both(device, parts)[1], "a placement must not change a bit");
    }

    /** Runs router and experts; experts are spread over sources as the maps say, and all copied to one tensor. */
    private static float[] experts(Device d, int[][] maps) throws IOException {
        int rows = 6;
        BatchShape shape = BatchShape.of(rows, 1, 1);
        Tensor x = floats(d, "x", Shape.of(rows, HIDDEN), 3);
        Tensor h = floats(d, "h", Shape.of(rows, HIDDEN), 4);
        Tensor routing = d.alloc("routing", Tensor.Kind.ACTIVATION, TensorType.I32, Shape.of(rows, 2 * USED));
        Tensor sources = floats(d, "sources", new Shape(maps.length, rows, USED, HIDDEN), 5);
        RouterWeights router = new RouterWeights(
                d.load(new RandomSource("norm", Shape.of(HIDDEN), 6)),
                d.load(new RandomSource("router", Shape.of(EXPERTS, HIDDEN), 7)),
                1e-5f);
        Step step = step(d, shape);
        step.route(routing, h, x, router);
        long rowBytes = 4L * USED * HIDDEN;
        for (int part = 0; part < maps.length; part++) {
            Tensor slots = floats(d, "slots", new Shape(1, rows, USED, HIDDEN), 8);
            step.experts(slots, h, routing, held(d, maps[part]));
            step.copy(sources, part * rows * rowBytes, slots, 0, rowBytes);
        }
        step.addSlots(x, sources);
        step.end();
        d.run(step, rows(shape, rows));
        return read(d, x);
    }

    /** The experts that a map holds, each with the weights that it has in every placement. */
    private static ExpertWeights held(Device d, int[] map) throws IOException {
        List<Integer> experts = new ArrayList<>();
        for (int expert = 0; expert < map.length; expert++) {
            if (map[expert] >= 0) {
                experts.add(expert);
            }
        }
        Tensor mapTensor = d.alloc("map", Tensor.Kind.ACTIVATION, TensorType.I32, Shape.of(map.length));
        ByteBuffer bytes = ByteBuffer.allocate(4 * map.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(map);
        d.write(mapTensor, 0, bytes);
        return new ExpertWeights(
                d.load(new Stacked("gate", experts, Shape.of(FFN, HIDDEN))),
                d.load(new Stacked("up", experts, Shape.of(FFN, HIDDEN))),
                d.load(new Stacked("down", experts, Shape.of(HIDDEN, FFN))),
                Optional.of(mapTensor));
    }

    private record Stacked(String name, List<Integer> experts, Shape each) implements TensorSource {
        @Override
        public TensorType type() {
            return TensorType.F32;
        }

        @Override
        public Shape shape() {
            return Shape.of(experts.size(), each.rows(), each.columns());
        }

        @Override
        public void read(long offset, ByteBuffer target) throws IOException {
            ByteBuffer all = ByteBuffer.allocate(Math.toIntExact(4 * shape().elements()));
            for (int expert : experts) {
                ByteBuffer one = all.slice(all.position(), Math.toIntExact(4 * each.elements()));
                new RandomSource(name, each, name.hashCode() * 31L + expert).read(0, one);
                all.position(all.position() + one.capacity());
            }
            target.put(all.slice(Math.toIntExact(offset), target.remaining()));
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void routingPairsAreThoseOfTheReference(String device) throws IOException {
        int rows = 200;
        BatchShape shape = BatchShape.of(rows, 1, 8);
        List<int[]> routings = new ArrayList<>();
        both(device, d -> {
            Tensor x = floats(d, "x", Shape.of(rows, HIDDEN), 9);
            Tensor h = floats(d, "h", Shape.of(rows, HIDDEN), 10);
            Tensor routing = d.alloc("routing", Tensor.Kind.ACTIVATION, TensorType.I32, Shape.of(rows, 2 * EXPERTS));
            // Experts 1 and 3 have the same row, so every token ties between them: the lower id must come first.
            Step step = step(d, shape);
            step.route(routing, h, x, new RouterWeights(norm(d), d.load(new TiedRouter()), 1e-5f));
            step.end();
            d.run(step, rows(shape, rows));
            routings.add(readInts(d, routing));
            return new float[0];
        });
        int[] expected = routings.get(0);
        int[] computed = routings.get(1);
        for (int row = 0; row < rows; row++) {
            int at = row * 2 * EXPERTS;
            for (int k = 0; k < EXPERTS; k++) {
                assertEquals(expected[at + k], computed[at + k], "row " + row + ", expert " + k);
                float weight = Float.intBitsToFloat(expected[at + EXPERTS + k]);
                assertEquals(weight, Float.intBitsToFloat(computed[at + EXPERTS + k]), 1e-5, "row " + row);
            }
            List<Integer> order =
                    Arrays.stream(computed, at, at + EXPERTS).boxed().toList();
            assertEquals(order.indexOf(1) + 1, order.indexOf(3), "a tie goes to the lower id");
        }
    }

    private static Tensor norm(Device d) throws IOException {
        return d.load(new RandomSource("norm", Shape.of(HIDDEN), 11));
    }

    private record TiedRouter() implements TensorSource {
        @Override
        public String name() {
            return "router";
        }

        @Override
        public TensorType type() {
            return TensorType.F32;
        }

        @Override
        public Shape shape() {
            return Shape.of(EXPERTS, HIDDEN);
        }

        @Override
        public void read(long offset, ByteBuffer target) {
            int rowBytes = 4 * HIDDEN;
            ByteBuffer all = ByteBuffer.allocate(EXPERTS * rowBytes);
            new RandomSource("router", shape(), 12).read(0, all);
            all.put(3 * rowBytes, all, rowBytes, rowBytes);
            target.put(all.slice(Math.toIntExact(offset), target.remaining()));
        }
    }

    /** Penalties, biases, masks and targets, row by row. */
    @ParameterizedTest
    @MethodSource("devices")
    void topLogitsAdjustsMasksAndScores(String device) throws IOException {
        int k = 4;
        int targets = 2;
        BatchShape shape = new BatchShape(12, 10, 1, 1, targets, 64, (VOCABULARY + 31) / 32);
        List<TopLogits> tops = new ArrayList<>();
        agree(device, d -> {
            Tensor x = floats(d, "x", Shape.of(12, HIDDEN), 13);
            Tensor logits = floats(d, "logits", Shape.of(10, VOCABULARY), 14);
            Tensor top =
                    d.alloc("top", Tensor.Kind.ACTIVATION, TensorType.I32, Shape.of(10, TopLogits.words(k, targets)));
            Tensor output = d.load(new RandomSource("output", Shape.of(VOCABULARY, HIDDEN), 15));
            Step step = step(d, shape);
            step.topLogits(top, x, new OutputWeights(norm(d), output, 1e-5f), k, Optional.of(logits));
            step.end();
            d.run(step, adjusted(shape));
            tops.add(new TopLogits(k, targets, readBytes(d, top)));
            return Arrays.copyOf(read(d, logits), 9 * VOCABULARY);
        });
        for (int row = 0; row < 9; row++) {
            for (int rank = 0; rank < k; rank++) {
                assertEquals(tops.get(0).token(row, rank), tops.get(1).token(row, rank), "row " + row);
                close(tops.get(0).adjustedLogit(row, rank), tops.get(1).adjustedLogit(row, rank));
                close(tops.get(0).logit(row, rank), tops.get(1).logit(row, rank));
            }
            close(tops.get(0).logSumExp(row), tops.get(1).logSumExp(row));
            close(tops.get(0).targetLogProbability(row, 0), tops.get(1).targetLogProbability(row, 0));
            close(tops.get(0).targetLogProbability(row, 1), tops.get(1).targetLogProbability(row, 1));
            assertTrue(tops.get(1).targetLogProbability(row, 1) < 0);
        }
        assertEquals(-1, tops.get(1).token(8, 2), "the last row's mask allows two tokens only");
        assertEquals(0, tops.get(1).token(3, 0), "a large bias wins");
    }

    private static void close(float expected, float computed) {
        if (Float.isInfinite(expected)) {
            assertEquals(expected, computed);
        } else {
            assertEquals(expected, computed, 1e-4 * Math.max(1, Math.abs(expected)));
        }
    }

    private static Batch adjusted(BatchShape shape) {
        Batch batch = rows(shape, 11);
        for (int row = 1; row < 10; row++) {
            batch.addWanted(row);
            batch.setTarget(1, row * 7);
            if (row % 2 == 0) {
                batch.setTarget(0, 5);
                batch.adjust(row, 1.7f, -0.5f);
                batch.adjust(0, 1f, row == 4 ? 1000f : 3f);
                batch.adjust(40 + row, 0.5f, 0f);
            }
            if (row == 9) {
                batch.setMask(new int[] {1 << 17, 0, 1 << 3});
            }
        }
        return batch;
    }

    /** Attention over blocks in any order, with several sequences in one batch, in chunks and one by one. */
    @ParameterizedTest
    @MethodSource("devices")
    void attentionFollowsTheBlockTable(String device) throws IOException {
        agree(device, d -> attention(d, new int[][] {{3, 0, 5}, {4, 1, 2}}, 11));
        agree(device, d -> attention(d, new int[][] {{3, 0, 5}, {4, 1, 2}}, 1));
        float[] one = both(device, d -> attention(d, new int[][] {{3, 0, 5}, {4, 1, 2}}, 5))[1];
        float[] other = both(device, d -> attention(d, new int[][] {{0, 1, 2}, {3, 4, 5}}, 5))[1];
        assertArrayEquals(one, other, "where blocks lie must not change a bit");
    }

    /** Two sequences of 11 positions, blocks of 4: returns attended rows of the last batch. */
    private static float[] attention(Device d, int[][] blocks, int chunk) throws IOException {
        int headDim = 8;
        BatchShape shape = BatchShape.of(2 * chunk, 2, 3);
        Shape cache = new Shape(2, 6, 4, 2 * headDim);
        KvCache kv = new KvCache(
                d.alloc("keys", Tensor.Kind.KV, TensorType.F32, cache),
                d.alloc("values", Tensor.Kind.KV, TensorType.F32, cache),
                headDim);
        Tensor table = d.load(new RandomSource("table", Shape.of(VOCABULARY, HIDDEN), 20));
        Tensor x = floats(d, "x", Shape.of(2 * chunk, HIDDEN), 21);
        Tensor q = floats(d, "q", Shape.of(2 * chunk, 4 * headDim), 22);
        Tensor attended = floats(d, "attended", Shape.of(2 * chunk, 4 * headDim), 23);
        AttentionWeights weights = new AttentionWeights(
                norm(d),
                d.load(new RandomSource("wq", Shape.of(4 * headDim, HIDDEN), 24)),
                d.load(new RandomSource("wk", Shape.of(2 * headDim, HIDDEN), 25)),
                d.load(new RandomSource("wv", Shape.of(2 * headDim, HIDDEN), 26)),
                d.load(new RandomSource("wo", Shape.of(HIDDEN, 4 * headDim), 27)),
                headDim,
                1e4f,
                1e-5f);
        Step step = step(d, shape);
        step.embed(x, table);
        step.attentionInput(q, x, weights, kv, 1);
        step.attention(attended, q, kv, 1);
        step.attentionOutput(x, attended, weights);
        step.end();
        for (int begin = 0; begin < 11; begin += chunk) {
            Batch batch = new Batch(shape);
            for (int sequence = 0; sequence < 2; sequence++) {
                for (int column = 0; column < 3; column++) {
                    batch.setBlock(sequence, column, blocks[sequence][column]);
                }
                for (int p = begin; p < Math.min(11, begin + chunk); p++) {
                    batch.addRow((p * 5 + sequence * 13) % VOCABULARY, p, sequence);
                }
            }
            d.run(step, batch);
        }
        return read(d, x);
    }

    @ParameterizedTest
    @MethodSource("devices")
    void zeroAndCopyMoveWhatTheySay(String device) throws IOException {
        float[][] results = both(device, d -> {
            BatchShape shape = BatchShape.of(4, 1, 1);
            Tensor from = floats(d, "from", Shape.of(8, 3), 30);
            Tensor to = floats(d, "to", Shape.of(8, 3), 31);
            Tensor cleared = floats(d, "cleared", Shape.of(2, 2), 32);
            Step step = step(d, shape);
            step.zero(cleared);
            step.copy(to, 12, from, 24, 12);
            step.end();
            d.run(step, rows(shape, 3));
            float[] all = Arrays.copyOf(read(d, to), 28);
            System.arraycopy(read(d, cleared), 0, all, 24, 4);
            return all;
        });
        assertArrayEquals(results[0], results[1]);
        float[] from = random(24, 30);
        float[] to = random(24, 31);
        assertEquals(to[0], results[1][0]);
        assertEquals(from[6], results[1][3]);
        assertEquals(from[14], results[1][11]);
        assertEquals(to[12], results[1][12], "three rows, not four");
        assertEquals(0, results[1][24]);
    }
}
