package io.talaria.validate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.Activations;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What counts as equal, and what is forgiven. */
class CompareTest {
    private static final int EXPERTS = 4;
    private static final int USED = 2;

    private static Finding rows(float... computed) {
        return Compare.rows("x", computed, new float[] {1000, 1000, 1, 2}, 2, 1e-7);
    }

    @Test
    void aLargeRowHidesNoSmallOne() {
        assertTrue(rows(1000, 1000.1f, 1, 2).ok());
        Finding wrong = rows(1000, 1000, 1, 2.1f);
        assertEquals(0.01 / 5, wrong.nmse(), 1e-4);
        assertEquals("row 1, value 1 is 2.100000, expected 2.000000", wrong.detail());
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void whatIsNotFiniteFails(float value) {
        assertEquals(Double.POSITIVE_INFINITY, rows(1000, 1000, value, 2).nmse());
        float[] both = {value, 1};
        assertFalse(Compare.rows("x", both, both, 2, 1e-7).ok(), "not even where both are the same");
    }

    @Test
    void zerosMustBeZeros() {
        assertTrue(Compare.rows("x", new float[2], new float[2], 2, 1e-7).ok());
        assertFalse(Compare.rows("x", new float[] {0, 1e-30f}, new float[2], 2, 1e-7)
                .ok());
    }

    /** What was added is compared, and not what was there; but for the last bit of the sum. */
    @Test
    void addedToALargeNumber() {
        float[] before = {1e6f, 1e6f};
        float[] expected = {1e6f + 1, 1e6f - 1};
        float[] lastBit = {Math.nextUp(expected[0]), expected[1]};
        float[] nothing = before.clone();
        assertTrue(Compare.added("x", lastBit, expected, before, 1, 2, 1e-7).ok());
        assertFalse(Compare.added("x", nothing, expected, before, 1, 2, 1e-7).ok());
    }

    /** The reference routes to experts 2, 0 and 3, 1, the last two with the same logit; margins are ln 2, small, none. */
    private static Finding route(float margin, int first, int second, float weight) {
        double third = 0.25 * Math.exp(-margin);
        int[] expected = {2, 0, 1, 3, bits(0.5), bits(0.25), bits(third), bits(third)};
        int[] computed = {first, second, bits(weight), bits(1 - weight)};
        return CompareRouting.rows(computed, expected, USED, EXPERTS, 1e-7);
    }

    private static int bits(double value) {
        return Float.floatToRawIntBits((float) value);
    }

    @Test
    void routingMayDifferWhereTheMarginIsTiny() {
        assertTrue(route(1, 2, 0, 2 / 3f).ok());
        assertEquals(0, route(1, 2, 0, 2 / 3f).nearTies());
        assertFalse(route(1, 2, 0, 0.66f).ok(), "weights are compared");
        assertFalse(route(1, 0, 2, 1 / 3f).ok(), "the larger comes first");
        assertFalse(route(1, 2, 1, 2 / 3f).ok(), "a clear margin");
        assertFalse(route(1, 2, 2, 2 / 3f).ok(), "an expert counts once");
        assertFalse(route(1, 2, 4, 2 / 3f).ok(), "there is no such expert");
        assertTrue(route(1e-6f, 2, 1, 2 / 3f).ok());
        assertEquals(1, route(1e-6f, 2, 1, 2 / 3f).nearTies());
        assertFalse(route(1e-6f, 2, 3, 2 / 3f).ok(), "a tie goes to the lower id, however near others are");
    }

    /** Settled inputs are near to what they were, and where a last bit cannot change what they are rounded to. */
    @Test
    void settledInputsRoundOneWay() {
        int columns = 512;
        float[] norm = MadeWeight.norm(columns, 1).decoded();
        float[] x = Inputs.random(3, columns, 2);
        for (Activations mode : new Activations[] {Activations.INT8, Activations.INT8_256}) {
            float[] settled = Inputs.settle(x, norm, 1e-5f, mode);
            boolean moved = false;
            for (int begin = 0; begin < x.length; begin += mode.block()) {
                double largest = 0;
                for (int i = begin; i < begin + mode.block(); i++) {
                    largest = Math.max(largest, Math.abs((double) settled[i] * norm[i % columns]));
                }
                for (int i = begin; i < begin + mode.block(); i++) {
                    double code = settled[i] * (double) norm[i % columns] / largest * 127;
                    assertTrue(Math.abs(code - Math.floor(code) - 0.5) > 0.019);
                    assertEquals(x[i] * (double) norm[i % columns] / largest * 127, code, 0.04);
                    moved |= x[i] != settled[i];
                }
            }
            assertTrue(moved);
        }
    }
}
