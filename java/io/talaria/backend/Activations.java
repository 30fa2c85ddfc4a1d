package io.talaria.backend;

/** How precisely a step keeps the activations that meet weights. */
public enum Activations {
    /** Double precision, no rounding: the reference alone. */
    EXACT(0),
    /** At least float16; float32 on the CPU. */
    HALF(0),
    /** Rounded to int8 in blocks of 32 where they meet quantised weights. */
    INT8(32),
    /** The same in blocks of 256. */
    INT8_256(256);

    private final int block;

    Activations(int block) {
        this.block = block;
    }

    /** Values per int8 block, or 0. */
    public int block() {
        return block;
    }
}
