package io.talaria.bench;

import io.talaria.backend.Batch;
import io.talaria.backend.TensorSource;
import io.talaria.model.Decoder;
import io.talaria.model.ModelWeights;
import io.talaria.model.ModelWeights.LayerWeights;
import io.talaria.model.Verb;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/** Measures how long each verb of the forward pass takes for one token. */
public final class OpBench {
    /** A measurement of a verb takes at least so long, unless that would be too many runs. */
    private static final double LEAST_SECONDS = 0.005;

    private static final int MOST_RUNS = 64;

    private final Bench bench;
    private final Decoder decoder;

    /**
     * What one verb takes per token.
     *
     * @param microseconds in all layers together
     * @param bytes that it must read, 0 for none
     */
    public record Op(Verb verb, double microseconds, long bytes) {
        /** Bytes that were read per second, in 10^9. */
        public double gigabytesPerSecond() {
            return bytes / microseconds / 1e3;
        }
    }

    /**
     * All verbs, and the whole token, which takes less than their sum where a device fuses or overlaps them.
     *
     * @param tokenMicroseconds one forward pass, without choosing the next token
     */
    public record Ops(List<Op> ops, double tokenMicroseconds) {
        public double sum() {
            return ops.stream().mapToDouble(Op::microseconds).sum();
        }
    }

    /** Uses a bench's decoder and what it has put into the cache. */
    public OpBench(Bench bench) {
        this.bench = bench;
        this.decoder = bench.decoder();
    }

    /**
     * Times each verb of a token behind {@code depth} others, one by one: a step repeats the verb over all layers, and is
     * run so often that waiting for it does not count. A verb with nothing to read from weights or cache has no bytes.
     */
    public Ops measure(ModelWeights weights, int depth, int repetitions) {
        int position = Math.max(1, depth);
        bench.fill(position);
        Batch batch = bench.batch(position, 1, 1);
        List<Op> ops = new ArrayList<>();
        for (Verb verb : Verb.values()) {
            bench.step(position, 1, 1); // so that the verb finds what it would find
            double seconds = seconds(repetitions, () -> decoder.run(batch, Set.of(verb)));
            ops.add(new Op(verb, seconds * 1e6, bytes(verb, weights, position + 1)));
        }
        return new Ops(ops, seconds(repetitions, () -> decoder.run(batch)) * 1e6);
    }

    /** Seconds that one run takes, the median. */
    private double seconds(int repetitions, Runnable run) {
        time(1, run); // composes the step
        int runs = (int) Math.clamp(Math.ceil(LEAST_SECONDS / time(1, run)), 1, MOST_RUNS);
        List<Double> times = new ArrayList<>();
        for (int i = 0; i < repetitions; i++) {
            times.add(time(runs, run) / runs);
        }
        return Bench.Result.median(times);
    }

    private double time(int runs, Runnable run) {
        long begin = System.nanoTime();
        for (int i = 0; i < runs; i++) {
            run.run();
        }
        decoder.sync();
        return (System.nanoTime() - begin) / 1e9;
    }

    /** What a verb reads for one row, in all layers: weights, of experts those that are used, and the cache. */
    private long bytes(Verb verb, ModelWeights weights, int positions) {
        return switch (verb) {
            case EMBED -> bytes(weights.embedding()) / decoder.config().vocabulary();
            case ATTENTION -> (long) bench.kvBytes(positions);
            case ADD_SLOTS -> 0;
            case TOP_LOGITS -> bytes(weights.outputNorm(), weights.output());
            case ATTENTION_INPUT, ATTENTION_OUTPUT, ROUTE, EXPERTS ->
                weights.layers().stream().mapToLong(layer -> bytes(verb, layer)).sum();
        };
    }

    private long bytes(Verb verb, LayerWeights layer) {
        return switch (verb) {
            case ATTENTION_INPUT -> bytes(layer.attentionNorm(), layer.query(), layer.key(), layer.value());
            case ATTENTION_OUTPUT -> bytes(layer.attentionOutput());
            case ROUTE -> bytes(layer.ffnNorm(), layer.router());
            case EXPERTS ->
                bytes(layer.gate(), layer.up(), layer.down())
                        / decoder.config().experts()
                        * decoder.config().expertsUsed();
            default -> throw new IllegalArgumentException(verb + " is in no layer");
        };
    }

    private static long bytes(TensorSource... sources) {
        return Arrays.stream(sources)
                .mapToLong(source -> source.type().bytes(source.shape().elements()))
                .sum();
    }
}
