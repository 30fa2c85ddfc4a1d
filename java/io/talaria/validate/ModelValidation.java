package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.model.Model;
import io.talaria.model.ModelWeights;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Consumer;

/**
 * Every verb of every layer of a model: a prompt as one batch, and then one token alone, which devices compute in ways of
 * their own. Each verb gets what the device itself computed before, settled as {@link Inputs} says, so that a drift is
 * not blamed on what comes after it.
 *
 * <p>A device holds the weights of one layer at a time, and the reference reads them from the file.
 */
public final class ModelValidation {
    static final long SEED = 42;

    /**
     * What to run.
     *
     * @param modes each with a pass of its own
     * @param kvType of the cache: F16 or Q8_0
     * @param tokens of the prompt
     */
    public record Options(List<Activations> modes, TensorType kvType, int tokens) {}

    private ModelValidation() {}

    /**
     * Runs all layers.
     *
     * @param sink takes each check as it is made
     * @param progress hears how many of how many verbs are done
     * @throws IOException if the model cannot be read, or has no experts
     * @throws DeviceException if the device is lost, or has no room for a layer
     */
    public static void run(
            Model model,
            Device reference,
            Device device,
            Options options,
            Consumer<Check> sink,
            ValidationProgress progress)
            throws IOException {
        model.requireExperts();
        try (Rig expecting = new Rig(reference);
                Rig computing = new Rig(device)) {
            List<ModelPass> passes = new ArrayList<>();
            for (Activations mode : options.modes()) {
                int[] tokens = tokens(model, options.tokens() + 1);
                passes.add(new ModelPass(model.config(), mode, options.kvType(), tokens, expecting, computing));
            }
            long verbs = (long) passes.size() * ModelPass.verbs(model.config().layers());
            run(model.weights(), passes, new Runner(reference, device, sink, progress, verbs));
        }
    }

    private static void run(ModelWeights weights, List<ModelPass> passes, Runner runner) throws IOException {
        runner.with(passes, (pass, rigs) -> pass.embed(rigs, weights.embedding()));
        for (int i = 0; i < weights.layers().size(); i++) {
            int layer = i;
            runner.with(
                    passes,
                    (pass, rigs) -> pass.layer(rigs, layer, weights.layers().get(layer)));
        }
        runner.with(passes, (pass, rigs) -> pass.output(rigs, weights.outputNorm(), weights.output()));
    }

    /** What a pass does while some weights are on the device. */
    private interface Part {
        void run(ModelPass pass, ModelPass.Rigs rigs) throws IOException;
    }

    /** Opens rigs for a part, so that its weights are freed after it, and hands on what comes out. */
    private static final class Runner {
        private final Device reference;
        private final Device device;
        private final Consumer<Check> sink;
        private final ValidationProgress progress;
        private final long verbs;
        private long done;

        Runner(Device reference, Device device, Consumer<Check> sink, ValidationProgress progress, long verbs) {
            this.reference = reference;
            this.device = device;
            this.sink = sink;
            this.progress = progress;
            this.verbs = verbs;
        }

        void with(List<ModelPass> passes, Part part) throws IOException {
            try (Rig expecting = new Rig(reference);
                    Rig computing = new Rig(device)) {
                for (ModelPass pass : passes) {
                    part.run(pass, new ModelPass.Rigs(expecting, computing, this::checked));
                }
            }
        }

        private void checked(List<Check> checks) {
            checks.forEach(sink);
            progress.at(++done, verbs);
        }
    }

    private static int[] tokens(Model model, int count) {
        SplittableRandom random = new SplittableRandom(SEED);
        int[] tokens = new int[count];
        for (int i = 0; i < count; i++) {
            tokens[i] = random.nextInt(model.config().vocabulary());
        }
        return tokens;
    }
}
