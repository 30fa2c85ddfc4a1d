package io.talaria.placement;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is measured between two devices that are here, and with which no link can be. */
class LinkProbeTest {
    @Test
    void rowsThatTravelTakeTime() {
        try (Device home = Backends.open("cpu");
                Device away = Backends.open("cpu")) {
            long before = home.memory().total();
            LinkProbe.Result result = LinkProbe.measure(home, away);
            assertEquals(before, home.memory().total());
            LinkProbe.Trip small = result.trips().get(0);
            LinkProbe.Trip large = result.trips().get(1);
            assertEquals(16384, small.bytes());
            assertEquals(8388608, large.bytes());
            assertTrue(small.microseconds() > 0 && large.microseconds() > 0, result::toString);
            assertTrue(result.link().gigabytesPerSecond() > 0 && result.link().microseconds() >= 0, result::toString);
            assertTrue(result.stepMicroseconds() > 0, result::toString);
        }
    }

    @Test
    void whatMeetsNobodyIsRefused() {
        try (Device cpu = Backends.open("cpu");
                Device reference = Backends.open("reference")) {
            for (List<Device> pair : List.of(List.of(cpu, reference), List.of(reference, cpu))) {
                DeviceException refused =
                        assertThrows(DeviceException.class, () -> LinkProbe.measure(pair.get(0), pair.get(1)));
                assertEquals(DeviceException.Kind.UNSUPPORTED, refused.kind());
                assertTrue(refused.getMessage().contains("reference takes no part in a split"), refused.getMessage());
            }
        }
    }
}
