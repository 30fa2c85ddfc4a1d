package io.talaria.engine;

import io.talaria.TestData;
import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.quant.TensorType;
import io.talaria.sampling.SamplingParameters;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.IntConsumer;

/** An engine with all that it stands on. */
final class EngineRig implements AutoCloseable {
    static final String NANO = "nano-Q4_K_M.gguf";

    final FaultyDevice faults;
    final Engine engine;
    private final Model model;
    private final Device device;
    private final Decoder decoder;

    /** How a rig is built: on the CPU, batch-invariant, with a context of 256 and a KV cache for three of them. */
    record Setting(
            String file,
            String device,
            Activations activations,
            TensorType kv,
            int kvBlocks,
            int context,
            int chunk,
            int parallel) {
        static final Setting CPU = new Setting(NANO, "cpu", Activations.HALF, TensorType.F16, 24, 256, 16, 6);
        static final Setting REFERENCE =
                new Setting(NANO, "reference", Activations.EXACT, TensorType.F32, 24, 256, 16, 6);

        Setting activations(Activations mode) {
            return new Setting(file, device, mode, kv, kvBlocks, context, chunk, parallel);
        }

        Setting cache(int blocks, int positions) {
            return new Setting(file, device, activations, kv, blocks, positions, chunk, parallel);
        }

        Setting chunk(int rows) {
            return new Setting(file, device, activations, kv, kvBlocks, context, rows, Math.min(parallel, rows));
        }

        Setting parallel(int texts) {
            return new Setting(file, device, activations, kv, kvBlocks, context, chunk, texts);
        }
    }

    EngineRig(Setting setting) throws IOException {
        model = Model.open(TestData.golden(setting.file));
        device = Backends.open(setting.device);
        faults = new FaultyDevice(device);
        DecoderOptions options = DecoderOptions.of(setting.activations, setting.kv, setting.kvBlocks, setting.chunk)
                .withBatchInvariance();
        decoder = Decoder.load(model, faults.device(), options, LoadProgress.NONE);
        engine = new Engine(decoder, new EngineOptions(setting.context, setting.parallel));
    }

    Reply submit(Request request) {
        return submit(request, token -> {});
    }

    /** Hands in a request; the hook hears each token on the engine's thread. */
    Reply submit(Request request, IntConsumer hook) {
        Reply reply = new Reply(hook);
        reply.ticket = engine.submit(request, reply);
        return reply;
    }

    @Override
    public void close() throws IOException {
        engine.close();
        try (model;
                device;
                decoder) {}
    }

    static Request greedy(int[] prompt, int maxTokens) {
        return new Request(prompt, maxTokens, Set.of(), SamplingParameters.GREEDY);
    }

    /** Text from the prompt's tokens on. */
    static int[] random(SplittableRandom random, int length) {
        return random.ints(length, 3, 512).toArray();
    }

    /** What a request comes to. */
    static final class Reply implements TokenListener {
        final List<Integer> tokens = new ArrayList<>();
        volatile Engine.Ticket ticket;
        private final IntConsumer hook;
        private final CompletableFuture<Completion> end = new CompletableFuture<>();

        Reply(IntConsumer hook) {
            this.hook = hook;
        }

        @Override
        public boolean token(int token) {
            tokens.add(token);
            hook.accept(token);
            return true;
        }

        @Override
        public void finished(Completion completion) {
            if (!end.complete(completion)) {
                throw new IllegalStateException("ended twice");
            }
        }

        @Override
        public void failed(RuntimeException reason) {
            if (!end.completeExceptionally(reason)) {
                throw new IllegalStateException("ended twice");
            }
        }

        /** Waits for the end; a failure is thrown as it was told. */
        Completion await() {
            try {
                return end.get(60, TimeUnit.SECONDS);
            } catch (ExecutionException e) {
                throw (RuntimeException) e.getCause();
            } catch (InterruptedException | TimeoutException e) {
                throw new IllegalStateException("the request did not end", e);
            }
        }

        List<Integer> text() {
            await();
            return tokens;
        }
    }
}
