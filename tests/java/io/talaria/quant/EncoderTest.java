package io.talaria.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** The encoders that look for good scales: what they may not do, and how good they have to be. */
class EncoderTest {
    static final List<TensorType> TYPES = List.of(TensorType.Q4_0, TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K);
    private static final int ELEMENTS = 1 << 15;

    static byte[] encode(TensorType type, float[] values) {
        byte[] bytes = new byte[(int) type.bytes(values.length)];
        Arrays.fill(bytes, (byte) 0x5A); // what was there before must not matter
        Quant.encode(type, values, 0, bytes, 0, values.length);
        return bytes;
    }

    static float[] decode(TensorType type, byte[] bytes) {
        float[] values = new float[bytes.length / type.blockBytes() * type.blockElements()];
        Quant.decode(type, bytes, 0, values, 0, values.length);
        return values;
    }

    /** Gaussian values; with outliers, one in 500 is up to 20 times as large. */
    static float[] values(long seed, boolean outliers) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[ELEMENTS];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (0.02 * random.nextGaussian());
            if (outliers && random.nextInt(500) == 0) {
                values[i] *= random.nextInt(1, 21);
            }
        }
        return values;
    }

    /** Squared errors, with the weights that the format's encoders have, over the values' own squares. */
    static double error(TensorType type, float[] values, float[] decoded) {
        double errors = 0;
        double power = 0;
        for (int at = 0; at < values.length; at += 32) {
            double squares = 0;
            for (int i = at; i < at + 32; i++) {
                squares += (double) values[i] * values[i];
            }
            for (int i = at; i < at + 32; i++) {
                double weight = switch (type) {
                    case Q4_K, Q5_K -> Math.sqrt(squares / 32) + Math.abs(values[i]);
                    case Q6_K -> (double) values[i] * values[i];
                    default -> 1;
                };
                double difference = (double) decoded[i] - values[i];
                errors += weight * difference * difference;
                power += weight * values[i] * values[i];
            }
        }
        return errors / power;
    }

    /** All values that an element of a block could have, with the scales that the block has. */
    private static double[] levels(TensorType type, byte[] b, int at, int element) {
        return switch (type) {
            case Q4_0 ->
                IntStream.range(-8, 8).mapToDouble(q -> Halves.get(b, at) * q).toArray();
            case Q6_K -> {
                float factor = Halves.get(b, at + 208) * b[at + 192 + element / 16];
                yield IntStream.range(-32, 32).mapToDouble(q -> factor * q).toArray();
            }
            default -> {
                float factor = Halves.get(b, at) * KScales.scale(b, at + 4, element / 32);
                float offset = Halves.get(b, at + 2) * KScales.minimum(b, at + 4, element / 32);
                int count = type == TensorType.Q4_K ? 16 : 32;
                yield IntStream.range(0, count)
                        .mapToDouble(q -> factor * q - offset)
                        .toArray();
            }
        };
    }

    /** With the scales that a block got, no value could be written nearer than it is. */
    @ParameterizedTest
    @FieldSource("TYPES")
    void everyValueGetsTheNearestLevel(TensorType type) {
        for (boolean outliers : new boolean[] {false, true}) {
            float[] values = values(3, outliers);
            byte[] bytes = encode(type, values);
            float[] decoded = decode(type, bytes);
            for (int i = 0; i < values.length; i++) {
                int block = i / type.blockElements();
                double[] levels = levels(type, bytes, block * type.blockBytes(), i % type.blockElements());
                double nearest = Double.POSITIVE_INFINITY;
                for (double level : levels) {
                    nearest = Math.min(nearest, Math.abs(level - values[i]));
                }
                // A tie in decimal may go either way in float32.
                double slack = 1e-5 * Math.abs(levels[1] - levels[0]);
                assertTrue(Math.abs(decoded[i] - values[i]) <= nearest + slack, type + " element " + i);
            }
        }
    }

    /** The scales that follow from the largest and smallest value alone are worse, by more than a hair. */
    @ParameterizedTest
    @FieldSource("TYPES")
    void theSearchBeatsTheRange(TensorType type) {
        for (boolean outliers : new boolean[] {false, true}) {
            float[] values = values(4, outliers);
            double searched = error(type, values, decode(type, encode(type, values)));
            double naive = error(type, values, naive(type, values));
            assertTrue(searched < 0.95 * naive, type + ": " + searched + ", by the range alone " + naive);
        }
    }

    /** Every sub-block with the scale, and the minimum, that its range gives, unrounded. */
    private static float[] naive(TensorType type, float[] values) {
        int size = type == TensorType.Q6_K ? 16 : 32;
        boolean signed = type == TensorType.Q6_K || type == TensorType.Q4_0;
        int levels = type == TensorType.Q6_K ? 64 : type == TensorType.Q5_K ? 32 : 16;
        float[] result = new float[values.length];
        for (int at = 0; at < values.length; at += size) {
            float low = 0;
            float high = 0;
            for (int i = at; i < at + size; i++) {
                low = Math.min(low, values[i]);
                high = Math.max(high, values[i]);
            }
            float scale = signed ? Math.max(high, -low) / (levels / 2 - 1) : (high - low) / (levels - 1);
            float offset = signed ? 0 : low;
            for (int i = at; i < at + size; i++) {
                result[i] = scale * Math.round((values[i] - offset) / scale) + offset;
            }
        }
        return result;
    }

    /** Not more than 2 % over what llama.cpp's quantisers (commit d32676d) make of the same values. */
    @Test
    void errorsAreThoseOfOtherToolsAtMost() {
        double[][] theirs = {
            {7.3709e-3, 1.1836e-2}, {3.4581e-3, 2.5209e-3}, {8.8376e-4, 6.6840e-4}, {7.8208e-5, 5.6842e-6}
        };
        for (int t = 0; t < TYPES.size(); t++) {
            for (int outliers = 0; outliers <= 1; outliers++) {
                float[] values = values(9, outliers == 1);
                double ours = error(TYPES.get(t), values, decode(TYPES.get(t), encode(TYPES.get(t), values)));
                assertTrue(
                        ours <= 1.02 * theirs[t][outliers],
                        TYPES.get(t) + ": " + ours + ", theirs " + theirs[t][outliers]);
                // Far less would mean that something else was measured.
                assertTrue(ours >= 0.5 * theirs[t][outliers], TYPES.get(t) + ": " + ours);
            }
        }
    }

    /** Against the best of thousands of scales, and of as many minimums, tried one after the other. */
    @Test
    void theSearchesComeCloseToTheBestThereIs() {
        float[] values = values(5, true);
        float[] block = new float[32];
        float[] weights = new float[32];
        Arrays.fill(weights, 1);
        for (int top : new int[] {15, 31}) {
            double found = 0;
            double best = 0;
            AffineSearch affine = new AffineSearch(block, weights, top);
            for (int at = 0; at < 150 * 32; at += 32) {
                System.arraycopy(values, at, block, 0, 32);
                affine.find();
                found += squares(block, affine.scale(), affine.minimum(), 0, top);
                best += bestAffine(block, top);
            }
            assertTrue(found <= 1.02 * best, top + ": " + found + " where " + best + " is possible");
        }
        double found = 0;
        double best = 0;
        ScaleSearch signed = new ScaleSearch(block, weights, 8);
        for (int at = 0; at < 500 * 32; at += 32) {
            System.arraycopy(values, at, block, 0, 32);
            found += squares(block, signed.find(), 0, -8, 7);
            best += bestSigned(block);
        }
        assertTrue(found <= 1.02 * best, found + " where " + best + " is possible");
    }

    private static double bestAffine(float[] block, int top) {
        double low = 0;
        double high = 0;
        for (float value : block) {
            low = Math.min(low, value);
            high = Math.max(high, value);
        }
        double best = Double.POSITIVE_INFINITY;
        for (int s = 70; s <= 110; s++) {
            for (int m = 70; m <= 110; m++) {
                best = Math.min(best, squares(block, s / 100.0 * (high - low) / top, m / -100.0 * low, 0, top));
            }
        }
        return best;
    }

    private static double bestSigned(float[] block) {
        double largest = 0;
        for (float value : block) {
            largest = Math.max(largest, Math.abs(value));
        }
        double best = Double.POSITIVE_INFINITY;
        for (int s = 500; s <= 1200; s++) {
            best = Math.min(best, squares(block, s / 1000.0 * largest / 7.5, 0, -8, 7));
            best = Math.min(best, squares(block, s / -1000.0 * largest / 7.5, 0, -8, 7));
        }
        return best;
    }

    private static double squares(float[] block, double scale, double minimum, int lowest, int highest) {
        double sum = 0;
        for (float value : block) {
            double q = Math.max(lowest, Math.min(highest, Math.rint((value + minimum) / scale)));
            double difference = scale * q - minimum - value;
            sum += difference * difference;
        }
        return sum;
    }

    /** What was written once is written again without another loss. */
    @Test
    void writtenValuesStay() {
        for (TensorType type : new TensorType[] {TensorType.Q8_0, TensorType.Q4_0}) {
            for (boolean outliers : new boolean[] {false, true}) {
                float[] once = decode(type, encode(type, values(6, outliers)));
                float[] twice = decode(type, encode(type, once));
                for (int i = 0; i < once.length; i++) {
                    assertEquals(once[i] + 0f, twice[i] + 0f, type + " element " + i); // + 0: zeros have signs
                }
            }
        }
    }

    /** Values twice, or half, as large have the same quants: nothing depends on an absolute size. */
    @ParameterizedTest
    @FieldSource("TYPES")
    void sizeDoesNotMatter(TensorType type) {
        float[] values = values(7, true);
        float[] larger = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            values[i] *= 100; // so that no scale is too small for a half with all its bits
            larger[i] = 16 * values[i];
        }
        float[] decoded = decode(type, encode(type, values));
        float[] decodedLarger = decode(type, encode(type, larger));
        for (int i = 0; i < values.length; i++) {
            decoded[i] *= 16;
        }
        assertArrayEquals(decoded, decodedLarger);
    }

    @ParameterizedTest
    @FieldSource("TYPES")
    void blocksWithoutARange(TensorType type) {
        int elements = type.blockElements();
        assertArrayEquals(new float[elements], decode(type, encode(type, new float[elements])));
        for (float constant : new float[] {1, -1, 1e-3f, -60_000, 65_504}) {
            float[] values = new float[elements];
            Arrays.fill(values, constant);
            for (float value : decode(type, encode(type, values))) {
                // Two roundings, to a half and to the bits of a scale.
                assertEquals(constant, value, Math.abs(constant) * 0.02, type + " of nothing but " + constant);
            }
        }
        float[] single = new float[elements];
        single[elements - 1] = -3;
        float[] decoded = decode(type, encode(type, single));
        assertEquals(-3, decoded[elements - 1], 0.01);
        for (int i = 0; i < elements - 1; i++) {
            // Where a minimum is taken off again, zero is what two rounded halves leave of 3.
            assertEquals(0, decoded[i], 3 * 0x1p-10, type + " element " + i);
        }
        float[] tiny = new float[elements];
        Arrays.fill(tiny, Float.MIN_VALUE);
        for (float value : decode(type, encode(type, tiny))) {
            assertTrue(value == 0, type + " " + value); // of either sign
        }
    }

    /** A block with a NaN or an infinity is nothing but NaN, and its neighbours are as they would be. */
    @ParameterizedTest
    @FieldSource("TYPES")
    void poisonShows(TensorType type) {
        int elements = type.blockElements();
        for (float poison : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            float[] values = Arrays.copyOf(values(8, false), 3 * elements);
            float[] clean = decode(type, encode(type, values));
            values[elements + elements / 2] = poison;
            float[] decoded = decode(type, encode(type, values));
            for (int i = 0; i < decoded.length; i++) {
                if (i / elements == 1) {
                    assertTrue(Float.isNaN(decoded[i]), type + " element " + i);
                } else {
                    assertEquals(clean[i], decoded[i]);
                }
            }
        }
    }
}
