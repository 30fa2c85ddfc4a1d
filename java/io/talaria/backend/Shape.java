package io.talaria.backend;

/** A tensor's shape, outermost dimension first, 1 where unused: {@code [outer][planes][rows][columns]}. */
public record Shape(long outer, long planes, long rows, long columns) {
    public Shape {
        if (outer < 1 || planes < 1 || rows < 1 || columns < 1) {
            throw DeviceException.invalid(
                    "a shape has no dimension below 1: " + outer + " x " + planes + " x " + rows + " x " + columns);
        }
    }

    public static Shape of(long columns) {
        return new Shape(1, 1, 1, columns);
    }

    public static Shape of(long rows, long columns) {
        return new Shape(1, 1, rows, columns);
    }

    public static Shape of(long planes, long rows, long columns) {
        return new Shape(1, planes, rows, columns);
    }

    /**
     * All values.
     *
     * @throws ArithmeticException if they exceed a long
     */
    public long elements() {
        return Math.multiplyExact(Math.multiplyExact(Math.multiplyExact(outer, planes), rows), columns);
    }

    @Override
    public String toString() {
        return "[" + outer + "][" + planes + "][" + rows + "][" + columns + "]";
    }
}
