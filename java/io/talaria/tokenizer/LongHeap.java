package io.talaria.tokenizer;

import java.util.Arrays;

/** A binary heap of longs, smallest first. A priority queue of objects would take six times the memory and time. */
final class LongHeap {
    private long[] elements;
    private int size;

    LongHeap(int capacity) {
        elements = new long[Math.max(capacity, 4)];
    }

    boolean isEmpty() {
        return size == 0;
    }

    void add(long element) {
        if (size == elements.length) {
            elements = Arrays.copyOf(elements, size + (size >> 1));
        }
        int at = size++;
        while (at > 0 && elements[(at - 1) / 2] > element) {
            elements[at] = elements[(at - 1) / 2];
            at = (at - 1) / 2;
        }
        elements[at] = element;
    }

    /** Takes the smallest element out of a heap that is not empty. */
    long poll() {
        long smallest = elements[0];
        long moved = elements[--size];
        int at = 0;
        for (int child = 1; child < size; child = 2 * at + 1) {
            if (child + 1 < size && elements[child + 1] < elements[child]) {
                child++;
            }
            if (elements[child] >= moved) {
                break;
            }
            elements[at] = elements[child];
            at = child;
        }
        elements[at] = moved;
        return smallest;
    }
}
