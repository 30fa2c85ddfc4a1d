package io.talaria.backend.jni;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/**
 * Random calls through JNI: valid objects beside stale, forged and foreign ones, wrong sizes and wrong order. Each is
 * answered with a typed code and, if it failed, a sentence; and the JVM lives on.
 */
class NativeMisuseTest {
    private static final int CALLS = Integer.getInteger("talaria.native.misuse", 1_000_000);
    private static final long SEED = 20_240_131;

    @Test
    void randomCallsAreAnsweredWithTypedCodes() {
        NativeLibrary.unavailable().ifPresent(reason -> {
            throw new AssertionError(reason);
        });
        HostileCaller caller = new HostileCaller(SEED);
        assertTimeoutPreemptively(Duration.ofSeconds(120 + CALLS / 5_000), () -> {
            while (caller.calls() < CALLS) {
                caller.act();
            }
            caller.close();
        });
        int least = CALLS / 5_000;
        System.out.println(
                CALLS + " native calls (ok, invalid, unsupported, out of memory, lost): " + caller.summary());
        for (NativeCall call : NativeCall.values()) {
            int[] answers = caller.answers(call);
            int failed = Arrays.stream(answers).sum() - answers[Native.TALARIA_OK];
            assertTrue(answers[Native.TALARIA_OK] >= least, call + " hardly ever worked: " + Arrays.toString(answers));
            // A new event can only fail for want of memory.
            assertTrue(
                    failed >= least || call == NativeCall.EVENT_NEW,
                    call + " hardly ever failed: " + Arrays.toString(answers));
        }
        assertEquals(
                Native.TALARIA_OP_WAIT,
                Arrays.stream(caller.executed()).filter(n -> n >= least).count(),
                "ops executed: " + Arrays.toString(caller.executed()));
    }
}
