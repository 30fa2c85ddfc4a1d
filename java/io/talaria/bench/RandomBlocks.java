package io.talaria.bench;

import io.talaria.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.SplittableRandom;

/**
 * Encoded random weights of mean zero and a given standard deviation, made block by block at the speed of the random
 * generator: the quants are random bits, and each block's scales are set so that its values come out right.
 */
final class RandomBlocks {
    /** Deviation of a uniform integer: of a signed byte, of 4, 5 and 6 bits. */
    private static final double BYTE = 73.9;

    private static final double BITS4 = 4.61;
    private static final double BITS5 = 9.23;
    private static final double BITS6 = 18.47;
    /** Root mean square of the scales that are put into Q4_K and Q5_K (32 to 63) and Q6_K (8 to 15). */
    private static final double SCALES_K = 48.4;

    private static final double SCALES_6 = 11.7;
    /** Block scales vary by so much to either side. */
    private static final double SPREAD = 0.25;

    private final SplittableRandom random;
    private final TensorType type;
    private final double deviation;

    RandomBlocks(long seed, TensorType type, double deviation) {
        this.random = new SplittableRandom(seed);
        this.type = type;
        this.deviation = deviation;
    }

    /** Fills the buffer, which holds whole blocks. */
    void fill(ByteBuffer target) {
        byte[] bytes = target.array();
        int end = target.arrayOffset() + target.limit();
        int begin = target.arrayOffset() + target.position();
        ByteBuffer blocks = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        if (!type.quantised()) {
            for (int at = begin; at < end; at += type.blockBytes()) {
                number(blocks, at);
            }
            return;
        }
        random(blocks, begin, end);
        for (int at = begin; at < end; at += type.blockBytes()) {
            scale(blocks, at);
        }
    }

    private void random(ByteBuffer blocks, int begin, int end) {
        int at = begin;
        for (; at + Long.BYTES <= end; at += Long.BYTES) {
            blocks.putLong(at, random.nextLong());
        }
        for (; at < end; at++) {
            blocks.put(at, (byte) random.nextInt());
        }
    }

    private void number(ByteBuffer blocks, int at) {
        float value = (float) ((random.nextDouble() - 0.5) * Math.sqrt(12) * deviation);
        switch (type) {
            case F32 -> blocks.putFloat(at, value);
            case F16 -> blocks.putShort(at, Float.floatToFloat16(value));
            case BF16 -> blocks.putShort(at, (short) (Float.floatToRawIntBits(value) >>> 16));
            default -> throw new IllegalArgumentException(type + " cannot be made up");
        }
    }

    private void scale(ByteBuffer blocks, int at) {
        double wanted = deviation * (1 + SPREAD * (2 * random.nextDouble() - 1));
        switch (type) {
            case Q8_0 -> half(blocks, at, wanted / BYTE);
            case Q4_0 -> half(blocks, at, wanted / BITS4);
            case Q4_K -> superBlock(blocks, at, wanted / (BITS4 * SCALES_K), 7.5);
            case Q5_K -> superBlock(blocks, at, wanted / (BITS5 * SCALES_K), 15.5);
            case Q6_K -> {
                for (int i = 0; i < 16; i++) {
                    int place = at + 192 + i;
                    int bits = blocks.get(place);
                    int scale = 8 + (bits & 7);
                    blocks.put(place, (byte) ((bits & 8) == 0 ? scale : -scale));
                }
                half(blocks, at + 208, wanted / (BITS6 * SCALES_6));
            }
            default -> throw new IllegalArgumentException(type + " cannot be made up");
        }
    }

    /**
     * Q4_K and Q5_K: x = d * scale * q - dmin * minimum. With equal scale and minimum, and dmin = d * the mean quant, the
     * mean is zero. Bytes 4 to 15 hold eight scales and eight minimums of 6 bits; all are made 32 to 63.
     */
    private void superBlock(ByteBuffer blocks, int at, double d, double meanQuant) {
        half(blocks, at, d);
        half(blocks, at + 2, d * meanQuant);
        for (int i = 0; i < 4; i++) {
            int low = 32 | (blocks.get(at + 4 + i) & 31); // group i
            int nibble = blocks.get(at + 12 + i) & 15; // low bits of group i + 4
            int high = 2 | (blocks.get(at + 12 + i) >> 4 & 1); // its upper two bits: at least 32
            blocks.put(at + 4 + i, (byte) (low | high << 6));
            blocks.put(at + 8 + i, (byte) (low | high << 6));
            blocks.put(at + 12 + i, (byte) (nibble | nibble << 4));
        }
    }

    private static void half(ByteBuffer blocks, int at, double value) {
        blocks.putShort(at, Float.floatToFloat16((float) value));
    }
}
