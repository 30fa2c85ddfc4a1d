package io.talaria.convert;

/**
 * How far written numbers are from those they were made of.
 *
 * @param squares of the differences, added up
 * @param power squares of the numbers themselves, added up
 * @param largest the largest difference
 */
record WriteError(double squares, double power, double largest) {
    static final WriteError NONE = new WriteError(0, 0, 0);

    static WriteError of(float[] values, float[] written) {
        double squares = 0;
        double power = 0;
        double largest = 0;
        for (int i = 0; i < values.length; i++) {
            double difference = (double) written[i] - values[i];
            squares += difference * difference;
            power += (double) values[i] * values[i];
            largest = Math.max(largest, Math.abs(difference));
        }
        return new WriteError(squares, power, largest);
    }

    WriteError plus(WriteError other) {
        return new WriteError(squares + other.squares, power + other.power, Math.max(largest, other.largest));
    }

    /** The normalised mean squared error; 0 of nothing but zeros. */
    double normalised() {
        return power == 0 ? 0 : squares / power;
    }
}
