package io.talaria.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.DeviceException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TogetherTest {
    private static RuntimeException thrownBy(Runnable wait) {
        return assertThrows(RuntimeException.class, wait::run);
    }

    private static void sleep(int milliseconds) {
        try {
            TimeUnit.MILLISECONDS.sleep(milliseconds);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Whatever one wait throws, the others are done before anybody hears of it. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void allAreDoneBeforeAFailureThatIsNoDevicesIsThrown(int failing) {
        RuntimeException failure = new IllegalArgumentException("no failure of a device");
        AtomicBoolean[] done = {new AtomicBoolean(), new AtomicBoolean(), new AtomicBoolean()};
        List<Runnable> waits = new ArrayList<>();
        for (int i = 0; i < done.length; i++) {
            int number = i;
            waits.add(() -> {
                if (number == failing) {
                    throw failure;
                }
                sleep(200);
                done[number].set(true);
            });
        }
        try (Together together = new Together()) {
            assertSame(failure, thrownBy(() -> together.run(waits, failed -> {})));
            for (int i = 0; i < done.length; i++) {
                assertEquals(i != failing, done[i].get(), "wait " + i);
            }
        }
    }

    /** Failures of devices are told at once, and returned in the order of the devices. */
    @Test
    void failuresOfDevicesAreReturned() {
        DeviceException first = DeviceException.invalid("first");
        DeviceException third = DeviceException.invalid("third");
        CountDownLatch told = new CountDownLatch(1);
        List<DeviceException> heard = Collections.synchronizedList(new ArrayList<>());
        try (Together together = new Together()) {
            List<DeviceException> failures = together.run(
                    List.of(
                            () -> {
                                try {
                                    assertTrue(told.await(10, TimeUnit.SECONDS), "nobody was told of the third");
                                } catch (InterruptedException e) {
                                    throw new IllegalStateException(e);
                                }
                                throw first;
                            },
                            () -> {},
                            () -> {
                                throw third;
                            }),
                    failed -> {
                        heard.add(failed);
                        told.countDown();
                    });
            assertEquals(List.of(first, third), failures);
            assertEquals(List.of(third, first), heard);
        }
    }
}
