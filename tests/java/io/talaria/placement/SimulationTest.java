package io.talaria.placement;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.bench.SyntheticModel;
import io.talaria.bench.SyntheticShape;
import io.talaria.model.Model;
import io.talaria.placement.Layout.Layer;
import io.talaria.placement.ModelWork.LayerWork;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import java.util.Collections;
import java.util.List;
import java.util.OptionalDouble;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Against numbers that can be checked by hand. */
class SimulationTest {
    private static final Link FREE = new Link("none", Double.POSITIVE_INFINITY, 0, "");
    private static final List<List<Integer>> ALL_HERE = Collections.nCopies(8, List.of(0));
    private static final List<List<Integer>> FOUR_EACH =
            IntStream.range(0, 8).mapToObj(e -> List.of(e % 2)).toList();

    /** 1 GB/s each, so that gigabytes are seconds; 1 TFLOPS. */
    private static List<Worker> pair(double first, double second) {
        return List.of(
                new Worker("a", 0, first, OptionalDouble.of(1), false),
                new Worker("b", 1, second, OptionalDouble.of(1), false));
    }

    private static List<Worker> withCouriers(double gigabytesPerSecond) {
        return IntStream.range(0, 2)
                .mapToObj(i -> new Worker("w" + i, i, gigabytesPerSecond, OptionalDouble.of(1), true))
                .toList();
    }

    private static Costs costs(double microseconds) {
        return new Costs(new Link("", Double.POSITIVE_INFINITY, microseconds, ""), 0, 0);
    }

    private static Layout layers(int count, Layer layer) {
        return new Layout(Collections.nCopies(count, layer));
    }

    /** Layers of 1 GB for each expert, and nothing else. */
    private static Simulation onlyExperts(List<Worker> workers, ExpertChoice choice) {
        LayerWork layer = new LayerWork(0, 1e9, 0, 0, 1e12, 0);
        ModelWork work = new ModelWork(List.of(layer), 0, 0, 16384, 2);
        return new Simulation(work, List.of(choice), workers, new Costs(FREE, 0, 0));
    }

    /** Of the 28 pairs of 8 experts, 12 are of one half: with four on each device both are on one 3 times in 7. */
    @Test
    void wholeExpertsOnTwoDevicesGiveSevenFifthsAtMost() {
        Simulation simulation = onlyExperts(pair(1, 1), ExpertChoice.even(8, 2));
        double one =
                simulation.token(layers(1, new Layer.Whole(0, ALL_HERE)), 0).total();
        double two =
                simulation.token(layers(1, new Layer.Whole(0, FOUR_EACH)), 0).total();
        assertEquals(2.0, one, 1e-12);
        assertEquals((12 * 2 + 16 * 1) / 28.0, two, 1e-12);
        assertEquals(1.40, one / two, 1e-12);
        double ffn = simulation
                .token(layers(1, new Layer.Divided(0, List.of(0.5, 0.5))), 0)
                .total();
        assertEquals(1.0, ffn, 1e-12);
    }

    /** Prompts are divided by the shares, and both halves work all the time. */
    @Test
    void promptsBalance() {
        Simulation simulation = onlyExperts(pair(1e6, 1e6), ExpertChoice.even(8, 2));
        double one = simulation
                .prompt(layers(1, new Layer.Whole(0, ALL_HERE)), 512)
                .orElseThrow()
                .total();
        double two = simulation
                .prompt(layers(1, new Layer.Whole(0, FOUR_EACH)), 512)
                .orElseThrow()
                .total();
        assertEquals(2 * 512, one, 1e-9);
        assertEquals(2.0, one / two, 1e-12);
    }

    /**
     * A prompt goes through two halves in pieces of 128 rows: 4 pieces take the time of 5 halves, where one device takes that of
     * 8; 16 pieces that of 17, of 32. A short one is not divided.
     */
    @ParameterizedTest
    @CsvSource({"512, 1.6", "2048, 1.8824", "255, 1.0"})
    void promptsFollowThroughLayers(int rows, double times) {
        LayerWork layer = new LayerWork(0, 0, 0, 0, 0, 1e9);
        ModelWork work = new ModelWork(Collections.nCopies(2, layer), 0, 0, 0, 2);
        List<ExpertChoice> choices = Collections.nCopies(2, ExpertChoice.even(8, 2));
        Simulation simulation = new Simulation(work, choices, pair(1, 1), new Costs(FREE, 0, 0));
        List<List<Integer>> there = Collections.nCopies(8, List.of(1));
        Layout halves = new Layout(List.of(new Layer.Whole(0, ALL_HERE), new Layer.Whole(1, there)));
        double one = simulation
                .prompt(layers(2, new Layer.Whole(0, ALL_HERE)), rows)
                .orElseThrow()
                .total();
        double two = simulation.prompt(halves, rows).orElseThrow().total();
        assertEquals(times, one / two, 1e-4);
    }

    /**
     * A layer of 1 GFLOP of attention and 2 GFLOP of experts a row, on devices of 1 TFLOPS: a half of 256 rows takes 0.256 s of
     * attention, and as long for half of its experts. A transfer of 0.1 s is half on each device. Two halves take 2 * (0.256 +
     * 0.256 + 0.1) s of the home, and of all devices the same where attention is divided, whose 4 copies are 0.2 s; 255 rows go as
     * a whole, one device after the other.
     */
    @Test
    void promptsInHalvesWaitForTheBusiestDevice() {
        ModelWork work = new ModelWork(List.of(new LayerWork(0, 0, 0, 1e9, 1e9, 0)), 0, 0, 0, 2);
        List<ExpertChoice> choices = List.of(ExpertChoice.even(8, 2));
        Simulation simulation = new Simulation(work, choices, pair(1, 1), costs(100_000));
        List<Double> even = List.of(0.5, 0.5);
        for (Layer layer : List.of(new Layer.Divided(0, even), new Layer.Whole(0, FOUR_EACH))) {
            Simulation.Time halves = simulation.prompt(layers(1, layer), 512).orElseThrow();
            assertEquals(2 * (0.256 + 0.256), halves.work(), 1e-12);
            assertEquals(2 * 0.1, halves.link(), 1e-12);
            assertEquals(
                    2 * 0.255 + 2 * 0.1,
                    simulation.prompt(layers(1, layer), 255).orElseThrow().total(),
                    1e-12);
        }
        Layer tensor = new Layer.Tensor(0, even, even);
        assertEquals(
                2 * (0.128 + 0.256 + 0.2),
                simulation.prompt(layers(1, tensor), 512).orElseThrow().total(),
                1e-12);
        // Parted so that the home's attention and experts take as long as the other's experts: half of all there is,
        // 1.536 s.
        Layer balanced = new Layer.Divided(0, List.of(0.25, 0.75));
        assertEquals(
                1.536 / 2 + 2 * 0.1,
                simulation.prompt(layers(1, balanced), 512).orElseThrow().total(),
                1e-12);
    }

    /**
     * The same with couriers: what they carry is hidden, whichever way attention is, until it takes longer than computing. Two
     * transfers of 0.7 s are 0.7 s of each courier for each half. What is copied within the device's memory is not hidden:
     * of 1 MB a row there and back, twice 2 * 0.256 GB at 1 GB/s.
     */
    @Test
    void couriersCopyWhileDevicesCompute() {
        List<ExpertChoice> choices = List.of(ExpertChoice.even(8, 2));
        Layer even = new Layer.Divided(0, List.of(0.5, 0.5));
        ModelWork work = new ModelWork(List.of(new LayerWork(0, 0, 0, 1e9, 1e9, 0)), 0, 0, 0, 2);
        double[][] expected = {
            {0.1, 2 * (0.256 + 0.256)}, {0.7, 0.256 + 0.256 + 2 * 0.7}, {0.4, 0.256 + 0.256 + 2 * 0.4}
        };
        for (double[] of : expected) {
            Simulation simulation = new Simulation(work, choices, withCouriers(1e9), costs(of[0] * 1e6));
            assertEquals(
                    of[1], simulation.prompt(layers(1, even), 512).orElseThrow().total(), 1e-12);
        }
        ModelWork heavy = new ModelWork(List.of(new LayerWork(0, 0, 0, 1e9, 1e9, 0)), 0, 0, 500_000, 2);
        Simulation copied = new Simulation(heavy, choices, withCouriers(1), costs(0));
        double bytes = 256 * (2 * 500_000 + 16.0);
        assertEquals(
                2 * (0.512 + 2 * bytes / 1e9),
                copied.prompt(layers(1, even), 512).orElseThrow().total(),
                1e-12);
    }

    /** Four devices of which three have the experts: a half is on its way for longer than any device is busy with both. */
    @Test
    void aHalfTakesItsWayThroughALayer() {
        ModelWork work = new ModelWork(List.of(new LayerWork(0, 0, 0, 0, 1.5e9, 0)), 0, 0, 0, 2);
        List<Worker> four = IntStream.range(0, 4)
                .mapToObj(i -> new Worker("w" + i, i, 1, OptionalDouble.of(1), false))
                .toList();
        Simulation simulation = new Simulation(
                work,
                List.of(ExpertChoice.even(8, 2)),
                four,
                new Costs(costs(100_000).link(), 1000, 500));
        double third = 1.0 / 3;
        Simulation.Time time = simulation
                .prompt(layers(1, new Layer.Divided(0, List.of(0.0, third, third, third))), 512)
                .orElseThrow();
        // Busy: the home copies for 2 * 0.3 s, the others take 2 * (0.256 + 0.1); on its way: 0.256 + 6 * 0.1.
        assertEquals(0.256 + 6 * 0.1 + 0.001 + 0.0005, time.total() - 0.0005, 1e-12);
        assertEquals(2 * 0.256, time.work(), 1e-12);
        assertEquals(2 * (0.001 + 0.0005), time.overhead() - 0.0005, 1e-12);
    }

    /** Experts that are always used together do better apart, and a copy of one helps where they are not. */
    @Test
    void thePairsThatAreUsedCount() {
        long[][] together = new long[8][8];
        together[0][2] = 3; // both on the first device
        together[0][1] = 1; // one on each
        Simulation simulation = onlyExperts(pair(1, 1), ExpertChoice.ofPairs(together));
        assertEquals(
                0.75 * 2 + 0.25 * 1,
                simulation.token(layers(1, new Layer.Whole(0, FOUR_EACH)), 0).total(),
                1e-12);
        List<List<Integer>> copied = IntStream.range(0, 8)
                .mapToObj(e -> e == 2 ? List.of(0, 1) : List.of(e % 2))
                .toList();
        assertEquals(
                1.0, simulation.token(layers(1, new Layer.Whole(0, copied)), 0).total(), 1e-12);
    }

    /** The same processor twice reads no faster. */
    @Test
    void oneDeviceThatIsNamedTwiceIsOne() {
        List<Worker> twice = List.of(
                new Worker("cpu", 0, 1, OptionalDouble.of(1), false),
                new Worker("cpu", 0, 1, OptionalDouble.of(1), false));
        Simulation simulation = onlyExperts(twice, ExpertChoice.even(8, 2));
        assertEquals(
                2.0,
                simulation.token(layers(1, new Layer.Whole(0, FOUR_EACH)), 0).total(),
                1e-12);
    }

    /** One transfer there and one back per layer, one at a border between layers; all steps of a pass are queued at once. */
    @Test
    void anExchangeCostsWhatTravels() {
        LayerWork layer = new LayerWork(0, 0, 0, 0, 0, 0);
        ModelWork work = new ModelWork(Collections.nCopies(32, layer), 0, 0, 16384, 2);
        List<ExpertChoice> choices = Collections.nCopies(32, ExpertChoice.even(8, 2));
        Link link = new Link("", 1, 100, ""); // 1 GB/s: a byte takes a nanosecond
        Simulation simulation = new Simulation(work, choices, pair(1, 1), new Costs(link, 7, 10));
        Simulation.Time split = simulation.token(layers(32, new Layer.Whole(0, FOUR_EACH)), 0);
        assertEquals(32 * (2 * 100e-6 + (16384 + 16 + 32768) * 1e-9), split.link(), 1e-12);
        assertEquals(32 * 7e-6 + 10e-6, split.overhead(), 1e-12);
        List<Layer> borders = IntStream.range(0, 32)
                .mapToObj(i -> (Layer) new Layer.Whole(i / 16, Collections.nCopies(8, List.of(i / 16))))
                .toList();
        Simulation.Time layers = simulation.token(new Layout(borders), 0);
        assertEquals(100e-6 + 16384e-9, layers.link(), 1e-12);
        assertEquals(32 * 7e-6 + 10e-6, layers.overhead(), 1e-12);
    }

    /**
     * A pair of 5090 with all of Mixtral in Q4_K_M in halves: 7.895 GB at 1792 GB/s are 4.41 ms; half of it, but for the
     * output product's 0.1075 GB, and 64 exchanges of 10 us are 2.87 ms, 1.53 times as fast; with 4 us 2.49 ms, 1.77 times.
     * With attention on one device alone, the experts' 6.826 GB are halved, which leaves 4.482 GB or 2.50 ms, for two transfers
     * a layer: 1.40 times at 10 us (3.14 ms), and 1.60 times at 4 us (2.76 ms).
     */
    @Test
    void twoOfThe5090() throws Exception {
        try (Model model =
                SyntheticModel.open(SyntheticShape.preset("mixtral-8x7b").orElseThrow(), Recipe.Q4_K_M)) {
            ModelWork work = ModelWork.of(model, TensorType.F16);
            List<ExpertChoice> choices = Collections.nCopies(32, ExpertChoice.even(8, 2));
            List<Worker> pair = pair(1792, 1792);
            Layout one = layers(32, new Layer.Whole(0, ALL_HERE));
            Layout tensor = layers(32, new Layer.Tensor(0, List.of(0.5, 0.5), List.of(0.5, 0.5)));
            Layout ffn = layers(32, new Layer.Divided(0, List.of(0.5, 0.5)));
            double alone =
                    new Simulation(work, choices, pair, costs(0)).token(one, 0).total();
            assertEquals(7.895 / 1792, alone, 1e-6);
            double[][] expected = {{10, 1.53, 1.40}, {4, 1.77, 1.60}}; // microseconds, tensor, ffn
            for (double[] of : expected) {
                Simulation simulation = new Simulation(work, choices, pair, costs(of[0]));
                assertEquals(of[1], alone / simulation.token(tensor, 0).total(), 0.005);
                assertEquals(of[2], alone / simulation.token(ffn, 0).total(), 0.005);
            }
            // 25.2 GFLOP a token besides the output product, and scores over half of 512 positions: 0.13 GFLOP.
            double flops = new Simulation(work, choices, pair, costs(0))
                    .prompt(one, 512)
                    .orElseThrow()
                    .work();
            assertEquals(512 * (25.23e9 + 0.134e9) / 1e12, flops, 0.01);
            // The cache: 128 KiB a position.
            double behind = new Simulation(work, choices, pair, costs(0))
                    .token(one, 1000)
                    .total();
            assertEquals(1000 * 131072 / 1792e9, behind - alone, 1e-9);
        }
    }

    @Test
    void withoutOperationsPerSecondAPromptIsUnknown() {
        List<Worker> workers = List.of(new Worker("a", 0, 1, OptionalDouble.empty(), false));
        Simulation simulation = onlyExperts(workers, ExpertChoice.even(8, 2));
        Layout layout = layers(1, new Layer.Whole(0, ALL_HERE));
        assertTrue(simulation.prompt(layout, 512).isEmpty());
        assertEquals(2.0, simulation.token(layout, 0).total(), 1e-12);
    }

    /** Uneven: 0.5, 0.3 and 0.2, one expert a token. Of one kept, p² hit; of two also who was used before the last other. */
    @Test
    void theCacheKeepsWhatWasUsedLast() {
        ExpertChoice even = ExpertChoice.even(8, 2);
        assertEquals(2.0, even.misses(0), 1e-12);
        assertEquals(2.0 * 5 / 8, even.misses(3), 1e-12); // all are alike: 3 of 8 are there
        assertEquals(0.0, even.misses(8), 1e-12);
        long[][] together = new long[4][4];
        together[0][1] = 5; // three pairs with no expert in common but 0
        together[0][2] = 3;
        together[0][3] = 2;
        ExpertChoice three = ExpertChoice.ofPairs(together);
        assertEquals(1.0, three.share(0), 1e-12);
        // Expert 0 is always there; beside it the last other, which comes again with 0.5² + 0.3² + 0.2².
        assertEquals(1 - 0.38, three.misses(2), 1e-12);
        double second = 0.5 * (0.5 + 0.3 * 0.5 / 0.7 + 0.2 * 0.5 / 0.8)
                + 0.3 * (0.3 + 0.5 * 0.3 / 0.5 + 0.2 * 0.3 / 0.8)
                + 0.2 * (0.2 + 0.5 * 0.2 / 0.5 + 0.3 * 0.2 / 0.7);
        assertEquals(1 - second, three.misses(3), 1e-12);
        assertThrows(IllegalArgumentException.class, () -> ExpertChoice.even(64, 2));
        assertThrows(IllegalArgumentException.class, () -> ExpertChoice.ofPairs(new long[8][8]));
    }
}
