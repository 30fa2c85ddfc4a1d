package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class MachineTest {
    private static final String ZEN4 = "processor\t: 0\nflags\t\t: fpu fma f16c avx2 avx512vl avx512_vnni\nbugs\t:\n";

    @Test
    void theInstructionSetIsTheBestThatIsHere() {
        assertEquals("AVX-512 VNNI", Machine.instructionSet(ZEN4, ""));
        assertEquals("AVX2", Machine.instructionSet(ZEN4.replace("avx512vl", ""), ""));
        assertEquals("portable", Machine.instructionSet(ZEN4.replace("f16c", ""), ""));
        assertEquals("portable", Machine.instructionSet("Features : fp asimd", ""));
        assertEquals("portable", Machine.instructionSet("", ""));
    }

    @Test
    void aLesserOneCanBeWanted() {
        assertEquals("AVX2", Machine.instructionSet(ZEN4, "avx2"));
        assertEquals("portable", Machine.instructionSet(ZEN4, "portable"));
    }

    @Test
    void hugePagesNeedMadviseAtLeast() {
        assertEquals("available (madvise)", Machine.hugePages("always [madvise] never\n"));
        assertEquals("available (always)", Machine.hugePages("[always] madvise never\n"));
        assertTrue(Machine.hugePages("always madvise [never]\n").startsWith("not available: "));
        assertEquals("unknown", Machine.hugePages(""));
    }
}
