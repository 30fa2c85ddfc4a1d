package io.talaria.engine;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.Predicate;

/**
 * Who is in work, and what goes into the next batch. For the engine's thread alone.
 *
 * <p>Requests begin in the order in which they came, once there are blocks for their prompts. When a text that grows
 * finds no block, the request that began last gives its own back and begins again later; so the oldest always goes on.
 */
final class Scheduler {
    private final KvPool pool;
    private final int parallel;
    private final Deque<Job> waiting = new ArrayDeque<>();
    /** In the order in which they began. */
    private final List<Job> running = new ArrayList<>();

    /**
     * A request's part of a batch.
     *
     * @param rows its next tokens, so many
     * @param wanted whether they are all that it has, so that the logits of the last are wanted
     */
    record Share(Job job, int rows, boolean wanted) {}

    Scheduler(KvPool pool, int parallel) {
        this.pool = pool;
        this.parallel = parallel;
    }

    void add(Job job) {
        waiting.add(job);
    }

    boolean idle() {
        return waiting.isEmpty() && running.isEmpty();
    }

    /** All jobs for which this holds. */
    List<Job> find(Predicate<Job> which) {
        List<Job> found = new ArrayList<>(running);
        found.addAll(waiting);
        found.removeIf(which.negate());
        return found;
    }

    /** Takes a job out and gives its blocks back. */
    void remove(Job job) {
        waiting.remove(job);
        running.remove(job);
        job.sequence().end();
    }

    /**
     * What goes into the next batch: each text that is being written with one token; then the prompts, which share the
     * rows that are left evenly, so that a short one does not wait for the end of a long one.
     */
    List<Share> plan(int maxRows) {
        makeRoom();
        begin();
        List<Share> shares = new ArrayList<>();
        List<Job> prompts = new ArrayList<>();
        for (Job job : running) {
            if (job.pending() == 1) {
                shares.add(new Share(job, 1, true));
            } else {
                prompts.add(job);
            }
        }
        int left = maxRows - shares.size();
        for (int i = 0; i < prompts.size(); i++) {
            Job job = prompts.get(i);
            int rows = Math.min(job.pending(), Math.ceilDiv(left, prompts.size() - i));
            shares.add(new Share(job, rows, rows == job.pending()));
            left -= rows;
        }
        return shares;
    }

    /** Blocks for every text that has grown, the oldest first. */
    private void makeRoom() {
        for (int i = 0; i < running.size(); i++) {
            while (i < running.size() && !running.get(i).reserve()) {
                Job last = running.removeLast();
                last.sequence().end();
                waiting.addFirst(last);
            }
        }
    }

    private void begin() {
        while (!waiting.isEmpty() && running.size() < parallel && waiting.peek().begin(pool)) {
            running.add(waiting.poll());
        }
    }

    Usage usage() {
        int used = pool.blocks() - pool.available();
        return new Usage(waiting.size(), running.size(), pool.blocks(), used, pool.published());
    }
}
