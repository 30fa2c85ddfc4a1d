package io.talaria.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.engine.Scheduler.Share;
import io.talaria.sampling.Candidates;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** What goes into a batch, without a device: the next token is always 7. */
class SchedulerTest {
    private static final int CONTEXT = 128;
    private static final Candidates NEXT = new Candidates(new int[] {7}, new float[] {0}, OptionalDouble.empty());

    private int seed;

    private Job job(KvPool pool, int prompt, int answer) {
        Request request = EngineRig.greedy(EngineRig.random(new SplittableRandom(seed++), prompt), answer);
        return new Job(request, new EngineRig.Reply(token -> {}), pool, CONTEXT);
    }

    /** What the engine does with a plan; returns the jobs that have ended. */
    private static List<Job> step(List<Share> shares) {
        List<Job> ended = new ArrayList<>();
        Batch batch = new Batch(new BatchShape(256, 0, 64, CONTEXT / 32, 0, 0, 0));
        for (int table = 0; table < shares.size(); table++) {
            Job job = shares.get(table).job();
            job.sequence().place(batch, table, shares.get(table).rows());
            for (int i = 0; i < shares.get(table).rows(); i++) {
                job.sequence().add(batch, table, job.next());
            }
            job.publish();
            assertEquals(shares.get(table).wanted(), job.pending() == 0);
            if (shares.get(table).wanted() && job.accept(NEXT).isPresent()) {
                ended.add(job);
            }
        }
        return ended;
    }

    private static List<Integer> rows(List<Share> shares) {
        return shares.stream().map(Share::rows).toList();
    }

    @Test
    void answersComeFirstAndPromptsShareTheRest() {
        KvPool pool = new KvPool(64);
        Scheduler scheduler = new Scheduler(pool, 8);
        scheduler.add(job(pool, 3, 20));
        List<Share> plan = scheduler.plan(16);
        assertEquals(List.of(3), rows(plan));
        step(plan);
        scheduler.add(job(pool, 100, 5));
        scheduler.add(job(pool, 4, 5));
        scheduler.add(job(pool, 60, 5));
        plan = scheduler.plan(16);
        assertEquals(List.of(1, 5, 4, 6), rows(plan), "what the short prompt leaves goes to the next");
        assertEquals(
                List.of(true, false, true, false),
                plan.stream().map(Share::wanted).toList());
        step(plan);
        assertEquals(List.of(1, 1, 7, 7), rows(scheduler.plan(16)));
    }

    @Test
    void whoCannotBeginWaitsForItsTurn() {
        KvPool pool = new KvPool(4);
        Scheduler scheduler = new Scheduler(pool, 8);
        Job first = job(pool, 64, 5);
        Job second = job(pool, 96, 5);
        Job third = job(pool, 10, 5);
        List.of(first, second, third).forEach(scheduler::add);
        List<Share> plan = scheduler.plan(256);
        assertEquals(List.of(64), rows(plan), "the third would fit, but does not pass the second");
        assertEquals(2, scheduler.usage().waiting());
        assertEquals(2, scheduler.usage().blocksInUse());
        scheduler.remove(first);
        assertEquals(List.of(96, 10), rows(scheduler.plan(256)));
        scheduler.remove(second);
        scheduler.remove(third);
        assertTrue(scheduler.idle());
        assertEquals(0, scheduler.usage().blocksInUse());
    }

    @Test
    void whoBeganLastMakesRoomForWhoGrows() {
        KvPool pool = new KvPool(4);
        Scheduler scheduler = new Scheduler(pool, 8);
        Job first = job(pool, 62, 60);
        Job second = job(pool, 62, 60);
        scheduler.add(first);
        scheduler.add(second);
        scheduler.add(job(pool, 40, 5));
        step(scheduler.plan(256));
        step(scheduler.plan(256));
        assertEquals(List.of(1, 1), rows(scheduler.plan(256)), "both have 64 tokens, in two blocks each");
        step(scheduler.plan(256));
        List<Share> plan = scheduler.plan(256);
        assertEquals(List.of(first), plan.stream().map(Share::job).toList());
        assertEquals(0, second.sequence().length());
        while (step(plan).isEmpty()) {
            plan = scheduler.plan(256);
            assertEquals(first, plan.getFirst().job());
        }
        scheduler.remove(first);
        plan = scheduler.plan(256);
        assertEquals(second, plan.getFirst().job(), "before the third, which has never begun");
        assertEquals(65, plan.getFirst().rows() + second.sequence().length());
    }

    /** Random requests under pressure: limits hold, the oldest goes on in every step, all end, no block is lost. */
    @Test
    void everyRequestEnds() {
        SplittableRandom random = new SplittableRandom(9);
        for (int round = 0; round < 30; round++) {
            int parallel = 1 + random.nextInt(6);
            int maxRows = parallel + random.nextInt(40);
            KvPool pool = new KvPool(4 + random.nextInt(8));
            Scheduler scheduler = new Scheduler(pool, parallel);
            for (int i = 0; i < 20; i++) {
                scheduler.add(job(pool, 1 + random.nextInt(90), 1 + random.nextInt(120)));
            }
            int ended = 0;
            for (int steps = 0; !scheduler.idle(); steps++) {
                assertTrue(steps < 20 * CONTEXT, "it goes round in circles");
                List<Share> plan = scheduler.plan(maxRows);
                assertFalse(plan.isEmpty());
                assertTrue(plan.size() <= parallel);
                assertTrue(rows(plan).stream().mapToInt(Integer::intValue).sum() <= maxRows);
                for (Job job : step(plan)) {
                    scheduler.remove(job);
                    ended++;
                }
            }
            assertEquals(20, ended);
            assertEquals(0, scheduler.usage().blocksInUse());
        }
    }
}
