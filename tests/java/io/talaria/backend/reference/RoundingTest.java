package io.talaria.backend.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import io.talaria.backend.Activations;
import io.talaria.quant.TensorType;
import org.junit.jupiter.api.Test;

class RoundingTest {
    /** The largest value of a block becomes 127 steps, halves go to the even step, and a row's last block may be short. */
    @Test
    void int8HasItsScaleFromTheLargestOfABlock() {
        double[] x = new double[2 * 40];
        x[0] = -127;
        x[1] = 1.4;
        x[2] = 2.5;
        x[3] = 3.5;
        x[4] = -0.5;
        x[32] = 254; // the short block of the first row: steps of 2
        x[33] = 3.2;
        x[40 + 31] = 12.7; // the second row: steps of 0.1
        x[40] = 0.26;
        double[] rounded = Rounding.activations(x, 2, 40, TensorType.Q4_K, Activations.INT8);
        assertArrayEquals(
                new double[] {-127, 1, 2, 4, 0},
                new double[] {rounded[0], rounded[1], rounded[2], rounded[3], rounded[4]},
                0.0);
        assertEquals(254, rounded[32]);
        assertEquals(4, rounded[33]);
        assertEquals(12.7, rounded[40 + 31], 1e-6);
        assertEquals(0.3, rounded[40], 1e-7);
        double[] wide = Rounding.activations(x, 2, 40, TensorType.Q4_K, Activations.INT8_256);
        assertEquals(2, wide[1], "one block of 40 with steps of 2");
    }

    @Test
    void plainWeightsSeeExactActivationsInInt8AndHalvesInHalf() {
        double[] x = {1 + 1.0 / 4096, 65504, 1e-9};
        assertSame(x, Rounding.activations(x, 1, 3, TensorType.F16, Activations.INT8));
        assertSame(x, Rounding.activations(x, 1, 3, TensorType.Q4_K, Activations.EXACT));
        double[] half = Rounding.activations(x, 1, 3, TensorType.Q4_K, Activations.HALF);
        assertArrayEquals(new double[] {1, 65504, 0}, half);
    }

    @Test
    void aBlockOfZerosStaysZero() {
        assertArrayEquals(
                new double[32], Rounding.activations(new double[32], 1, 32, TensorType.Q8_0, Activations.INT8));
    }
}
