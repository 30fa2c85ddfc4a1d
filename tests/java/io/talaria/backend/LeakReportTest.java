package io.talaria.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class LeakReportTest {
    @Test
    void whatIsDroppedIsReportedAndWhatIsClosedIsNot() throws InterruptedException {
        int before = LeakReport.dropped();
        open(true);
        open(false);
        for (int i = 0; i < 100 && LeakReport.dropped() == before; i++) {
            System.gc();
            Thread.sleep(20);
        }
        assertTrue(LeakReport.dropped() > before, "nothing was reported");
        assertEquals(before + 1, LeakReport.dropped(), "the closed one was reported too");
    }

    private static void open(boolean close) {
        Device device = Backends.open("cpu");
        if (close) {
            device.close();
        }
    }
}
