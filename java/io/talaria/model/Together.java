package io.talaria.model;

import io.talaria.backend.DeviceException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.function.Consumer;

/**
 * Waits for several devices at the same time: any of them may fail while the others wait for it, and is heard of by whoever
 * waits for it alone.
 */
final class Together implements AutoCloseable {
    private final ExecutorService threads = Executors.newCachedThreadPool(
            Thread.ofPlatform().daemon().name("waits for a device-", 0).factory());

    /**
     * Does all of it, the first on the caller's thread, and returns when all is done.
     *
     * @param failed is told at once of each that fails, on any thread
     * @return the first failure of each, in their order
     * @throws RuntimeException that one of them throws and that is no failure of a device, once all are done
     */
    List<DeviceException> run(List<Runnable> waits, Consumer<DeviceException> failed) {
        List<Future<Optional<DeviceException>>> others = new ArrayList<>();
        for (Runnable wait : waits.subList(1, waits.size())) {
            others.add(threads.submit(() -> attempt(wait, failed)));
        }
        FutureTask<Optional<DeviceException>> own = new FutureTask<>(() -> attempt(waits.getFirst(), failed));
        own.run();
        List<Future<Optional<DeviceException>>> all = new ArrayList<>(List.of(own));
        all.addAll(others);
        all.forEach(Together::await);
        return all.stream().map(Together::result).flatMap(Optional::stream).toList();
    }

    private static Optional<DeviceException> attempt(Runnable wait, Consumer<DeviceException> failed) {
        try {
            wait.run();
            return Optional.empty();
        } catch (DeviceException e) {
            failed.accept(e);
            return Optional.of(e);
        }
    }

    /** A thread that is interrupted waits all the same, as what it waits for ends by itself. */
    private static void await(Future<?> other) {
        boolean interrupted = false;
        while (!other.isDone()) {
            try {
                other.get();
            } catch (InterruptedException e) {
                interrupted = true;
            } catch (ExecutionException e) {
                break; // it is done, and says so again
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static Optional<DeviceException> result(Future<Optional<DeviceException>> done) {
        return switch (done.state()) {
            case SUCCESS -> done.resultNow();
            default -> throw rethrown(done.exceptionNow());
        };
    }

    private static RuntimeException rethrown(Throwable thrown) {
        if (thrown instanceof Error error) {
            throw error;
        }
        return thrown instanceof RuntimeException runtime ? runtime : new IllegalStateException(thrown);
    }

    @Override
    public void close() {
        threads.shutdown();
    }
}
