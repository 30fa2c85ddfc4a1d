package io.talaria.validate;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;

/** Cases, each made when it is its turn: the inputs of all together would not fit in memory. */
final class CaseList {
    private final List<IntFunction<OpCase<?>>> cases = new ArrayList<>();

    /** Adds a case that is made from a seed of its own. */
    void add(IntFunction<OpCase<?>> make) {
        cases.add(make);
    }

    int size() {
        return cases.size();
    }

    OpCase<?> make(int index) {
        return cases.get(index).apply(100 * index);
    }
}
