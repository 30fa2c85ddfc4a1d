package io.talaria.quant;

/** Encodes single blocks of one format. It may hold numbers between calls: one per thread. */
interface BlockEncoder {
    /** Encodes the finite values from {@code source[at]} on to the block at {@code block[blockAt]}, which is all zeros. */
    void encode(float[] source, int at, byte[] block, int blockAt);
}
