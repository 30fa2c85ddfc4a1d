package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class MachineTest {
    @Test
    void hugePagesNeedMadviseAtLeast() {
        assertEquals("available (madvise)", Machine.hugePages("always [madvise] never\n"));
        assertEquals("available (always)", Machine.hugePages("[always] madvise never\n"));
        assertTrue(Machine.hugePages("always madvise [never]\n").startsWith("not available: "));
        assertEquals("unknown", Machine.hugePages(""));
    }
}
