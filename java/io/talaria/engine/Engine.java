package io.talaria.engine;

import io.talaria.backend.DeviceException;
import io.talaria.engine.Scheduler.Share;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.sampling.Candidates;
import java.io.UncheckedIOException;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Answers many requests at once with one decoder. Each step is one batch with the next token of every text that is being
 * written, and parts of the prompts that are still being read. Texts with the same beginning share its whole blocks of the
 * KV cache, also with texts that have ended.
 *
 * <p>One thread of its own runs the decoder; all methods may be called from any thread. The decoder stays its owner's,
 * who closes it after the engine and does not use it meanwhile.
 */
public final class Engine implements AutoCloseable {
    private final EngineOptions options;
    private final int vocabulary;
    private final int maxRows;
    private final KvPool pool;
    private final Scheduler scheduler;
    private final BatchRunner runner;
    private final Thread thread;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition news = lock.newCondition();
    // Guarded by the lock.
    private final Queue<Job> inbox = new ArrayDeque<>();
    private boolean closing;
    private RuntimeException failure;

    private volatile Usage usage;

    /** A request that was handed in. */
    public final class Ticket {
        private final Job job;

        private Ticket(Job job) {
            this.job = job;
        }

        /**
         * Ends the answer before the next step, as {@link FinishReason#CANCELLED}. Returns at once, and does nothing if
         * it has ended already.
         */
        public void cancel() {
            job.cancel();
        }
    }

    /**
     * Starts the engine.
     *
     * @param decoder has rows for a token of every text in work, and blocks for at least one whole context
     * @throws IllegalArgumentException if it has not
     * @throws DeviceException if the device has no memory left for the largest batch
     */
    public Engine(Decoder decoder, EngineOptions options) {
        this.options = options;
        vocabulary = decoder.config().vocabulary();
        maxRows = decoder.options().maxRows();
        int blocks = decoder.options().kvBlocks();
        if (DecoderOptions.blocksFor(options.context()) > blocks) {
            throw new IllegalArgumentException("a context of " + options.context() + " positions is more than the "
                    + (long) blocks * DecoderOptions.POSITIONS_PER_BLOCK + " of the KV cache");
        }
        if (options.parallel() > maxRows) {
            throw new IllegalArgumentException(
                    options.parallel() + " texts at once are more than the " + maxRows + " rows of a batch");
        }
        pool = new KvPool(blocks);
        scheduler = new Scheduler(pool, options.parallel());
        runner = new BatchRunner(decoder, options);
        runner.prepare();
        usage = scheduler.usage();
        thread = new Thread(this::work, "talaria-engine");
        thread.setDaemon(true);
        thread.start();
    }

    /**
     * Composes the largest steps that an engine of these options runs, so that what they take of the device's memory is
     * taken before the first request, and can be planned.
     *
     * @throws DeviceException if the device has not so much left
     */
    public static void prepare(Decoder decoder, EngineOptions options) {
        new BatchRunner(decoder, options).prepare();
    }

    /**
     * Hands in a request. What comes of it is said to the listener.
     *
     * @throws ContextFullException if the prompt leaves no room for an answer in the context
     * @throws IllegalArgumentException if a token is not in the vocabulary
     * @throws DeviceException if the device was lost
     * @throws IllegalStateException if the engine is closed
     */
    public Ticket submit(Request request, TokenListener listener) {
        if (request.prompt().length >= options.context()) {
            throw new ContextFullException(request.prompt().length, options.context());
        }
        for (int token : request.prompt()) {
            checkToken(token);
        }
        request.sampling().logitBias().keySet().forEach(this::checkToken);
        Job job = new Job(request, listener, pool, options.context());
        lock.lock();
        try {
            if (failure != null) {
                throw failure;
            }
            if (closing) {
                throw closed();
            }
            inbox.add(job);
            news.signal();
        } finally {
            lock.unlock();
        }
        return new Ticket(job);
    }

    private void checkToken(int token) {
        if (token < 0 || token >= vocabulary) {
            throw new IllegalArgumentException(
                    "the token " + token + " is outside the vocabulary of " + vocabulary + " tokens");
        }
    }

    /** What the engine is busy with. */
    public Usage usage() {
        lock.lock();
        try {
            Usage now = usage;
            return new Usage(
                    now.waiting() + inbox.size(), now.running(), now.blocks(), now.blocksInUse(), now.blocksCached());
        } finally {
            lock.unlock();
        }
    }

    /**
     * Ends after the step that is running; requests that have not ended fail. Closing twice does nothing.
     *
     * @throws IllegalStateException if a listener calls it
     */
    @Override
    public void close() {
        if (Thread.currentThread() == thread) {
            throw new IllegalStateException("a listener cannot close its engine; do that from another thread");
        }
        lock.lock();
        closing = true;
        news.signal();
        lock.unlock();
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true; // the decoder must not be closed before the thread has ended
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static IllegalStateException closed() {
        return new IllegalStateException("the engine was closed");
    }

    // --- the engine's thread -----------------------------------------------------------------------------------------

    private void work() {
        RuntimeException end = closed();
        try {
            while (receive()) {
                scheduler.find(Job::cancelled).forEach(job -> finish(job, FinishReason.CANCELLED));
                step();
            }
        } catch (DeviceException e) {
            end = e;
        } catch (RuntimeException | Error e) {
            end = new IllegalStateException("the engine has stopped: " + e, e);
        }
        stop(end);
    }

    /** Takes in what was submitted, and waits if there is nothing to do; false if the engine is to end. */
    private boolean receive() {
        lock.lock();
        try {
            while (!closing && inbox.isEmpty() && scheduler.idle()) {
                news.awaitUninterruptibly();
            }
            inbox.forEach(scheduler::add);
            inbox.clear();
            usage = scheduler.usage();
            return !closing;
        } finally {
            lock.unlock();
        }
    }

    private void step() {
        List<Share> shares = scheduler.plan(maxRows);
        if (shares.isEmpty()) {
            return; // all were cancelled
        }
        try {
            runner.run(shares);
        } catch (DeviceException e) {
            if (e.kind() == DeviceException.Kind.LOST) {
                throw e;
            }
            shares.forEach(share -> fail(share.job(), e));
            return;
        } catch (UncheckedIOException e) { // experts could not be read: the next batch may do without them
            shares.forEach(share -> fail(share.job(), e));
            return;
        }
        int wanted = 0;
        for (Share share : shares) {
            if (share.wanted()) {
                advance(share.job(), wanted++);
            } else {
                share.job().publish();
            }
        }
    }

    private void advance(Job job, int wanted) {
        Candidates candidates;
        try {
            candidates = runner.candidates(wanted, job);
        } catch (ArithmeticException e) {
            job.sequence().withdraw();
            fail(job, e);
            return;
        }
        job.publish();
        try {
            Optional<FinishReason> reason = job.accept(candidates);
            reason.ifPresent(why -> finish(job, why));
        } catch (RuntimeException e) {
            fail(job, e);
        }
    }

    private void finish(Job job, FinishReason reason) {
        Completion completion = job.completion(reason);
        remove(job);
        tell(() -> job.listener().finished(completion));
    }

    private void fail(Job job, RuntimeException reason) {
        remove(job);
        tell(() -> job.listener().failed(reason));
    }

    private void remove(Job job) {
        scheduler.remove(job);
        usage = scheduler.usage();
    }

    private static void tell(Runnable call) {
        try {
            call.run();
        } catch (RuntimeException | Error e) { // whatever it is, the others must hear of their ends
            System.getLogger(Engine.class.getName())
                    .log(System.Logger.Level.WARNING, "a listener has thrown at the end of its request", e);
        }
    }

    private void stop(RuntimeException reason) {
        lock.lock();
        try {
            failure = reason;
            inbox.forEach(scheduler::add);
            inbox.clear();
        } finally {
            lock.unlock();
        }
        scheduler.find(Job::cancelled).forEach(job -> finish(job, FinishReason.CANCELLED));
        scheduler.find(job -> true).forEach(job -> fail(job, reason));
    }
}
