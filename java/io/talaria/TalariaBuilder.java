package io.talaria;

import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.backend.OpenOptions;
import io.talaria.engine.Engine;
import io.talaria.engine.EngineOptions;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.quant.TensorType;
import io.talaria.tokenizer.Tokenizer;
import java.io.IOException;

/** How a model is loaded. What is not set is as {@link Talaria#open} has it. */
public final class TalariaBuilder {
    /** Positions of a text at most, unless said otherwise; fewer if the model was trained for fewer. */
    public static final int DEFAULT_CONTEXT = 4096;

    private static final int DEFAULT_CHUNK = 128;
    private static final int DEFAULT_PARALLEL = 8;

    private final ModelSource source;
    private String device;
    private int threads;
    private Activations activations;
    private TensorType kvType;
    private int context;
    private int kvPositions;
    private int chunk = DEFAULT_CHUNK;
    private int parallel = DEFAULT_PARALLEL;
    private boolean batchInvariant;
    private LoadProgress progress = LoadProgress.NONE;

    /** Where the model file comes from. */
    @FunctionalInterface
    interface ModelSource {
        Model open() throws IOException;
    }

    TalariaBuilder(ModelSource source) {
        this.source = source;
    }

    /** Where to compute, such as {@code cpu} or {@code reference}. Default: the best device here. */
    public TalariaBuilder device(String name) {
        device = name;
        return this;
    }

    /** Threads of a device that computes on the processor; 0, the default, for one per core. */
    public TalariaBuilder threads(int count) {
        threads = count;
        return this;
    }

    /** How precisely activations meet weights. Default: {@link Activations#INT8}, and exact on the reference. */
    public TalariaBuilder activations(Activations mode) {
        activations = mode;
        return this;
    }

    /** Type of the KV cache: F16 or Q8_0. Default: F16, and F32 on the reference. */
    public TalariaBuilder kvType(TensorType type) {
        kvType = type;
        return this;
    }

    /** Positions of a text, prompt and answer, at most. Default: 4096, or what the model was trained for if less. */
    public TalariaBuilder context(int positions) {
        context = positions;
        return this;
    }

    /** Positions of the KV cache, for all texts together. Default: one context. */
    public TalariaBuilder kvPositions(int positions) {
        kvPositions = positions;
        return this;
    }

    /** Rows of a batch at most: tokens of prompts and answers together. Default: 128. */
    public TalariaBuilder chunk(int rows) {
        chunk = rows;
        return this;
    }

    /** Prompts that are answered at once, at most; others wait for their turn. Default: 8. */
    public TalariaBuilder parallel(int prompts) {
        parallel = prompts;
        return this;
    }

    /** Whether an answer must not depend on what else is computed with it, to the bit; slower. Default: false. */
    public TalariaBuilder batchInvariant(boolean invariant) {
        batchInvariant = invariant;
        return this;
    }

    /** Hears how far the loading is, on the thread that calls {@link #open}. */
    public TalariaBuilder progress(LoadProgress listener) {
        progress = listener;
        return this;
    }

    /**
     * Loads the model.
     *
     * @throws IOException if the file cannot be read or is no Mixtral model; the message names it and says what is wrong
     * @throws io.talaria.backend.DeviceException if there is no such device, or it has no room for the model
     * @throws IllegalArgumentException if a number is out of its range
     */
    public Talaria open() throws IOException {
        Model model = source.open();
        Device opened = null;
        try {
            Tokenizer tokenizer = model.tokenizer();
            int positions = positions(model.config().context());
            EngineOptions engineOptions = new EngineOptions(positions, Math.min(parallel, chunk));
            String name = device == null ? Backends.best() : device;
            opened = Backends.open(name, new OpenOptions(threads));
            Decoder decoder = Decoder.load(model, opened, decoderOptions(opened, positions), progress);
            Engine engine = new Engine(decoder, engineOptions);
            return new Talaria(model, opened, decoder, engine, tokenizer, positions);
        } catch (IOException | RuntimeException | Error e) {
            try (model;
                    Device failed = opened) {
                throw e;
            }
        }
    }

    private int positions(int trained) {
        if (context > trained) {
            throw new IllegalArgumentException(
                    "a context of " + context + " is more than the " + trained + " that the model was trained for");
        }
        if (context < 0 || chunk < 1 || kvPositions < 0 || parallel < 1) {
            throw new IllegalArgumentException("context " + context + ", KV positions " + kvPositions + ", chunk "
                    + chunk + " and parallel " + parallel + " must be positive");
        }
        return context == 0 ? Math.min(trained, DEFAULT_CONTEXT) : context;
    }

    private DecoderOptions decoderOptions(Device opened, int positions) {
        boolean exact = opened.info().device().startsWith("reference");
        Activations mode = activations != null ? activations : exact ? Activations.EXACT : Activations.INT8;
        TensorType cache = kvType != null ? kvType : exact ? TensorType.F32 : TensorType.F16;
        int blocks = DecoderOptions.blocksFor(Math.max(positions, kvPositions));
        DecoderOptions options = DecoderOptions.of(mode, cache, blocks, chunk);
        return batchInvariant ? options.withBatchInvariance() : options;
    }
}
