package io.talaria.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.Batch;
import io.talaria.backend.Device;
import io.talaria.backend.Step;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** What happens to the tokens before those that are measured. */
class BenchDepthTest {
    private static final int DEPTH = 96;
    private static final int ROWS = 32;

    /** Rows that went through each set of verbs. */
    private final Map<String, Integer> rows = new TreeMap<>();

    private final Map<Step, Step> steps = new IdentityHashMap<>();
    private final Map<Step, Set<String>> verbs = new IdentityHashMap<>();

    private Object call(Object target, java.lang.reflect.Method method, Object[] args) throws Throwable {
        try {
            return method.invoke(target, args);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    /** A device that notes which verbs its steps have, and how many rows they run over. */
    private Device noting(Device device) {
        return (Device) Proxy.newProxyInstance(
                getClass().getClassLoader(), new Class<?>[] {Device.class}, (proxy, method, args) -> {
                    if (method.getName().equals("newStep")) {
                        return noting((Step) call(device, method, args));
                    }
                    if (method.getName().equals("run")) {
                        rows.merge(String.join(" ", verbs.get(args[0])), ((Batch) args[1]).rows(), Integer::sum);
                        args[0] = steps.get(args[0]);
                    }
                    return call(device, method, args);
                });
    }

    private Step noting(Step step) {
        Set<String> names = new TreeSet<>();
        Step noted = (Step) Proxy.newProxyInstance(
                getClass().getClassLoader(), new Class<?>[] {Step.class}, (proxy, method, args) -> {
                    if (method.getReturnType() == void.class
                            && !Set.of("end", "close").contains(method.getName())) {
                        names.add(method.getName());
                    }
                    return call(step, method, args);
                });
        steps.put(noted, step);
        verbs.put(noted, names);
        return noted;
    }

    private void measure(boolean madeUp) throws IOException {
        DecoderOptions options = DecoderOptions.of(
                        Activations.INT8, TensorType.F16, DecoderOptions.blocksFor(DEPTH + 8), ROWS)
                .withRouting();
        try (Model model = SyntheticModel.open(SyntheticShape.preset("nano").orElseThrow(), Recipe.Q8_0);
                Device device = Backends.open("cpu");
                Decoder decoder = Decoder.load(model, noting(device), options, LoadProgress.NONE)) {
            Bench bench = new Bench(decoder, madeUp);
            bench.prompt(4, DEPTH, 2, 1);
            bench.text(4, DEPTH, 2, 1);
        }
    }

    @Test
    void ofAMadeUpModelTheyOnlyFillTheCache() throws IOException {
        measure(true);
        assertEquals(DEPTH, rows.get("attentionInput embed"));
        assertEquals(2, rows.size());
        rows.remove("attentionInput embed");
        assertEquals(Set.of(3 * 4 + 3 * 4), Set.copyOf(rows.values()), "measured once to warm up and twice to count");
    }

    @Test
    void ofARealOneTheyAreReadOnce() throws IOException {
        measure(false);
        assertEquals(1, rows.size());
        assertTrue(rows.keySet().iterator().next().contains("experts"));
        assertEquals(DEPTH + 3 * 4 + 3 * 4, rows.values().iterator().next());
    }

    /** The cache that is filled so holds what a prompt would put into the first layer, and no zeros in the others. */
    @Test
    void theCacheIsNoZeros() throws IOException {
        DecoderOptions options = DecoderOptions.of(Activations.HALF, TensorType.F16, 4, ROWS)
                .withLogits()
                .withRouting();
        float[] behind = new float[2];
        try (Model model = SyntheticModel.open(SyntheticShape.preset("nano").orElseThrow(), Recipe.Q8_0);
                Device device = Backends.open("cpu")) {
            for (int run = 0; run < 2; run++) {
                try (Decoder decoder = Decoder.load(model, device, options, LoadProgress.NONE)) {
                    Bench bench = new Bench(decoder, true);
                    if (run == 1) {
                        bench.fill(DEPTH);
                    }
                    Batch batch = new Batch(new io.talaria.backend.BatchShape(1, 1, 1, 4, 0, 0, 0));
                    for (int block = 0; block < 4; block++) {
                        batch.setBlock(0, block, block);
                    }
                    batch.addWanted(batch.addRow(7, DEPTH, 0));
                    decoder.run(batch);
                    behind[run] = decoder.logits(1).get(0);
                }
            }
        }
        assertTrue(Float.isFinite(behind[1]) && behind[0] != behind[1], "an empty cache gives the same");
    }
}
