package io.talaria.gguf;

import java.util.List;
import java.util.random.RandomGenerator;

/** Changes a few fields of a valid file at random, so that the result is wrong in one place and right elsewhere. */
final class Mutator {
    private static final long[] NUMBERS = {
        0,
        1,
        2,
        3,
        4,
        5,
        7,
        8,
        9,
        13,
        31,
        32,
        63,
        64,
        255,
        256,
        10_000,
        10_001,
        65_535,
        65_536,
        1 << 24,
        1 << 30,
        1L << 31,
        (1L << 31) - 1,
        1L << 32,
        (1L << 32) - 1,
        1L << 40,
        1L << 61,
        1L << 62,
        Long.MAX_VALUE - 2,
        Long.MAX_VALUE,
        Long.MIN_VALUE,
        Long.MIN_VALUE + 500,
        -32,
        -1
    };

    private final RandomGenerator random;

    Mutator(RandomGenerator random) {
        this.random = random;
    }

    /** A new file: one to three edited fields, sometimes some flipped bytes, sometimes a cut. */
    byte[] next() {
        GgufBuilder builder = GgufBuilder.small();
        int edits = 1 + random.nextInt(3);
        for (int i = 0; i < edits; i++) {
            edit(builder);
        }
        byte[] file = builder.build();
        if (random.nextInt(4) == 0) {
            flip(file);
        }
        return file;
    }

    private void edit(GgufBuilder builder) {
        // The first fields of the file come seldom, because a fault there hides all that follows.
        switch (random.nextInt(32)) {
            case 0 -> builder.tensorCount = number();
            case 1 -> builder.keyCount = number();
            case 2 -> builder.version = (int) number();
            case 3 -> builder.alignment = 1 << random.nextInt(8);
            case 4 -> builder.keys.add(any(builder.keys));
            case 5 -> builder.tensors.add(any(builder.tensors));
            case 6, 7 -> builder.tensors.remove(builder.tensors.size() > 1 ? any(builder.tensors) : null);
            case 8, 9, 10, 11, 12, 13, 14, 15, 16 -> editKey(builder);
            default -> editTensor(any(builder.tensors));
        }
    }

    private <T> T any(List<T> list) {
        return list.get(random.nextInt(list.size()));
    }

    private void editKey(GgufBuilder builder) {
        GgufBuilder.Key key = any(builder.keys);
        switch (random.nextInt(6)) {
            case 0 -> key.nameLength = number();
            case 1 -> flip(key.name = key.name.clone());
            case 2 -> key.type = random.nextInt(14);
            case 3 -> flip(key.payload);
            case 4 -> overwrite(key.payload, number());
            default -> builder.key("general.alignment", GgufBuilder.U32, GgufBuilder.u32(number()));
        }
    }

    private void editTensor(GgufBuilder.Tensor tensor) {
        switch (random.nextInt(7)) {
            case 0 -> tensor.nameLength = number();
            case 1 -> flip(tensor.name = tensor.name.clone());
            case 2 -> tensor.dimensions = (int) number();
            case 3 -> tensor.type = random.nextInt(45);
            case 4 -> tensor.offset = random.nextBoolean() ? number() : 32L * random.nextInt(40);
            case 5 -> tensor.bytes = random.nextInt(2000);
            default -> {
                long[] shape = new long[1 + random.nextInt(4)];
                for (int i = 0; i < shape.length; i++) {
                    shape[i] = random.nextInt(3) == 0 ? number() : 1 + random.nextInt(3) * 32L;
                }
                tensor.shape = shape;
            }
        }
    }

    private long number() {
        return random.nextInt(5) == 0
                ? random.nextLong() >> random.nextInt(64)
                : NUMBERS[random.nextInt(NUMBERS.length)];
    }

    private void flip(byte[] bytes) {
        for (int i = random.nextInt(4); i >= 0 && bytes.length > 0; i--) {
            bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
        }
    }

    private void overwrite(byte[] bytes, long number) {
        int at = random.nextInt(bytes.length + 1);
        for (int i = 0; i < Long.BYTES && at + i < bytes.length; i++) {
            bytes[at + i] = (byte) (number >> (8 * i));
        }
    }
}
