package io.talaria.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.DeviceException;
import io.talaria.engine.EngineRig.Reply;
import io.talaria.engine.EngineRig.Setting;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;

/** Cancelling, closing, and devices that fail. */
class EngineFaultsTest {
    private static final int[] PROMPT = EngineRig.random(new SplittableRandom(21), 60);
    private static final int[] OTHER = EngineRig.random(new SplittableRandom(22), 45);

    /** While its prompt is read, 4 tokens a step, and while it writes, in batches with another text. */
    @Test
    void cancelledAtAnyStepItLeavesNothing() throws IOException {
        try (EngineRig rig = new EngineRig(Setting.CPU.chunk(8))) {
            List<Integer> expected = rig.submit(EngineRig.greedy(PROMPT, 10)).text();
            List<Integer> others = rig.submit(EngineRig.greedy(OTHER, 10)).text();
            for (int step = 0; step < 20; step++) {
                int when = step;
                Reply[] reply = new Reply[1];
                CountDownLatch handedIn = new CountDownLatch(1);
                rig.faults.beforeRun(run -> {
                    await(handedIn);
                    if (run == when) {
                        reply[0].ticket.cancel();
                    }
                });
                Reply other = rig.submit(EngineRig.greedy(OTHER, 10));
                reply[0] = rig.submit(EngineRig.greedy(PROMPT, 10));
                handedIn.countDown();
                Completion completion = reply[0].await();
                assertEquals(others, other.text());
                List<Integer> text = reply[0].text();
                assertEquals(expected.subList(0, text.size()), text);
                boolean whole = completion.reason() == FinishReason.LENGTH;
                assertEquals(whole ? 10 : text.size(), completion.completionTokens());
                assertEquals(0, rig.engine.usage().blocksInUse(), "step " + step);
                assertTrue(whole == (text.size() == 10), "step " + step);
                reply[0].ticket.cancel(); // too late, and harmless
            }
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void whoWaitsCanBeCancelledToo() throws IOException {
        try (EngineRig rig = new EngineRig(Setting.CPU.parallel(1))) {
            CountDownLatch go = new CountDownLatch(1);
            rig.faults.beforeRun(run -> await(go));
            Reply first = rig.submit(EngineRig.greedy(PROMPT, 3));
            Reply second = rig.submit(EngineRig.greedy(OTHER, 3));
            second.ticket.cancel();
            go.countDown();
            assertEquals(FinishReason.CANCELLED, second.await().reason());
            assertEquals(0, second.await().completionTokens());
            assertEquals(FinishReason.LENGTH, first.await().reason());
        }
    }

    @Test
    void closingEndsWhatRuns() throws Exception {
        EngineRig rig = new EngineRig(Setting.CPU.parallel(2));
        CountDownLatch running = new CountDownLatch(3);
        List<Reply> replies = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            replies.add(rig.submit(EngineRig.greedy(PROMPT, 190), token -> running.countDown()));
        }
        running.await();
        Thread second = Thread.ofVirtual().start(rig.engine::close);
        rig.close();
        second.join();
        for (Reply reply : replies) {
            IllegalStateException ended = assertThrows(IllegalStateException.class, reply::await);
            assertEquals("the engine was closed", ended.getMessage());
        }
        assertEquals(0, rig.engine.usage().blocksInUse());
        assertThrows(IllegalStateException.class, () -> rig.submit(EngineRig.greedy(PROMPT, 1)));
        rig.engine.close();
    }

    @Test
    void aListenerCannotCloseItsEngine() throws IOException {
        try (EngineRig rig = new EngineRig(Setting.CPU)) {
            Reply reply = rig.submit(EngineRig.greedy(PROMPT, 2), token -> rig.engine.close());
            assertThrows(IllegalStateException.class, reply::await);
            assertEquals(2, rig.submit(EngineRig.greedy(PROMPT, 2)).text().size());
        }
    }

    @Test
    void aListenerThatThrowsHarmsNobodyElse() throws IOException {
        try (EngineRig rig = new EngineRig(Setting.CPU)) {
            List<Integer> expected = rig.submit(EngineRig.greedy(OTHER, 8)).text();
            Reply bad = rig.submit(EngineRig.greedy(PROMPT, 8), token -> {
                throw new UnsupportedOperationException("no");
            });
            Reply good = rig.submit(EngineRig.greedy(OTHER, 8));
            assertThrows(UnsupportedOperationException.class, bad::await);
            assertEquals(expected, good.text());
            assertEquals(0, rig.engine.usage().blocksInUse());
        }
    }

    @Test
    void aStepThatFailsFailsItsRequestsAlone() throws IOException {
        try (EngineRig rig = new EngineRig(Setting.CPU)) {
            List<Integer> expected = rig.submit(EngineRig.greedy(PROMPT, 10)).text();
            for (int step = 0; step < 8; step++) {
                int when = step;
                rig.faults.beforeRun(run -> {
                    if (run == when) {
                        throw new DeviceException(DeviceException.Kind.OUT_OF_MEMORY, "no room for this step");
                    }
                });
                Reply failing = rig.submit(EngineRig.greedy(PROMPT, 10));
                DeviceException failed = assertThrows(DeviceException.class, failing::await);
                assertEquals(DeviceException.Kind.OUT_OF_MEMORY, failed.kind());
                assertEquals(0, rig.engine.usage().blocksInUse());
                assertEquals(expected, rig.submit(EngineRig.greedy(PROMPT, 10)).text(), "after step " + step);
            }
        }
    }

    @Test
    void aLostDeviceEndsTheEngine() throws IOException {
        try (EngineRig rig = new EngineRig(Setting.CPU.parallel(1))) {
            DeviceException lost = new DeviceException(DeviceException.Kind.LOST, "gone");
            rig.faults.beforeRun(run -> {
                if (run == 5) {
                    throw lost;
                }
            });
            Reply running = rig.submit(EngineRig.greedy(PROMPT, 20));
            Reply waiting = rig.submit(EngineRig.greedy(OTHER, 20));
            assertSame(lost, assertThrows(DeviceException.class, running::await));
            assertSame(lost, assertThrows(DeviceException.class, waiting::await));
            assertSame(lost, assertThrows(DeviceException.class, () -> rig.submit(EngineRig.greedy(PROMPT, 1))));
        }
    }

    @Test
    void anErrorInTheEngineLeavesNobodyWaiting() throws IOException {
        try (EngineRig rig = new EngineRig(Setting.CPU)) {
            rig.faults.beforeRun(run -> {
                throw new OutOfMemoryError("heap");
            });
            Reply reply = rig.submit(EngineRig.greedy(PROMPT, 20));
            IllegalStateException stopped = assertThrows(IllegalStateException.class, reply::await);
            assertTrue(stopped.getMessage().contains("heap"), stopped.getMessage());
        }
    }

    /** In the third step the log-sum-exp of the request that came first becomes NaN; its block is published by then. */
    @Test
    void numbersThatBreakDownFailTheirRequestAlone() throws IOException {
        try (EngineRig rig = new EngineRig(Setting.CPU.chunk(128))) {
            List<Integer> expected = rig.submit(EngineRig.greedy(OTHER, 10)).text();
            List<Integer> later = rig.submit(EngineRig.greedy(PROMPT, 10)).text();
            int[] damaged = EngineRig.random(new SplittableRandom(23), 40);
            CountDownLatch handedIn = new CountDownLatch(1);
            int[] reads = {0};
            rig.faults.beforeRun(run -> await(handedIn));
            rig.faults.afterRead((source, target) -> {
                if (++reads[0] == 3) {
                    target.duplicate().order(target.order()).putFloat(3 * 64 * Float.BYTES, Float.NaN);
                }
            });
            Reply bad = rig.submit(EngineRig.greedy(damaged, 10));
            Reply good = rig.submit(EngineRig.greedy(OTHER, 10));
            handedIn.countDown();
            ArithmeticException broken = assertThrows(ArithmeticException.class, bad::await);
            assertTrue(broken.getMessage().contains("is the file damaged?"), broken.getMessage());
            assertEquals(expected, good.text());
            assertEquals(later, rig.submit(EngineRig.greedy(PROMPT, 10)).text());
            Reply again = rig.submit(EngineRig.greedy(damaged, 10));
            assertEquals(0, again.await().cachedTokens(), "what came of NaN must not be used again");
            assertEquals(10, again.text().size());
        }
    }
}
