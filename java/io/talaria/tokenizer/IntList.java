package io.talaria.tokenizer;

import java.util.Arrays;

/** A growing list of ints. */
final class IntList {
    private int[] elements = new int[64];
    private int size;

    void add(int element) {
        if (size == elements.length) {
            elements = Arrays.copyOf(elements, size + (size >> 1));
        }
        elements[size++] = element;
    }

    int[] toArray() {
        return Arrays.copyOf(elements, size);
    }
}
