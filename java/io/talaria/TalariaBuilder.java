package io.talaria;

import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.OpenOptions;
import io.talaria.engine.Engine;
import io.talaria.engine.EngineOptions;
import io.talaria.model.DecoderOptions;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.placement.Deployment;
import io.talaria.placement.DeviceChoice;
import io.talaria.placement.PlanSetting;
import io.talaria.placement.Planner;
import io.talaria.placement.Split;
import io.talaria.placement.Streaming;
import io.talaria.quant.TensorType;
import io.talaria.tokenizer.Tokenizer;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/** How a model is loaded. What is not set is as {@link Talaria#open} has it. */
public final class TalariaBuilder {
    /** Positions of a text at most, unless said otherwise; fewer if the model was trained for fewer. */
    public static final int DEFAULT_CONTEXT = 4096;

    /** Rows of a batch at most, unless said otherwise. */
    public static final int DEFAULT_CHUNK = 128;

    /** The same over several devices, which need rows to work at the same time. */
    public static final int DEFAULT_CHUNK_OF_SEVERAL = 512;

    private static final int DEFAULT_PARALLEL = 8;

    private final ModelSource source;
    private List<String> devices = List.of();
    private Planner.Places places = new Planner.Places.By(Split.EXPERTS);
    private int threads;
    private Activations activations;
    private TensorType kvType;
    private int context;
    private int kvPositions;
    private OptionalInt chunk = OptionalInt.empty();
    private Streaming streaming = Streaming.AUTO;
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

    /**
     * Where to compute, such as {@code cpu} or {@code reference}; several names split the model. Default: the best device
     * here, and the cpu for experts that it has no room for.
     */
    public TalariaBuilder device(String... names) {
        devices = List.of(names);
        return this;
    }

    /** How the model is split over several devices. Default: its experts are, by the devices' free memory. */
    public TalariaBuilder places(Planner.Places chosen) {
        places = chosen;
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

    /** Rows of a batch at most: tokens of prompts and answers together. Default: 128; 512 over several devices that are named. */
    public TalariaBuilder chunk(int rows) {
        chunk = OptionalInt.of(rows);
        return this;
    }

    /**
     * Whether experts that the cpu has are streamed to the device beside it for long prompts. Default: for a GPU, where it
     * should be faster and there is room.
     */
    public TalariaBuilder streaming(Streaming how) {
        streaming = how;
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
     * @throws IllegalArgumentException if a number is out of its range, or the model cannot be divided so
     */
    public Talaria open() throws IOException {
        Model model = source.open();
        Deployment opened = null;
        try {
            Tokenizer tokenizer = model.tokenizer();
            int positions = positions(model.config().context());
            EngineOptions engineOptions = new EngineOptions(positions, Math.min(parallel, rows()));
            OpenOptions opening = new OpenOptions(threads);
            String first = devices.isEmpty() ? Backends.best() : devices.getFirst();
            PlanSetting plain = setting(first, positions, engineOptions);
            List<String> names = devices.isEmpty() ? DeviceChoice.of(model, first, opening, places, plain) : devices;
            PlanSetting setting = streaming.apply(plain, model, names, chunk.isPresent() ? 0 : Streaming.CHUNK);
            opened = Deployment.open(model, names, opening, places, setting, progress);
            Engine engine = new Engine(opened.decoder(), engineOptions);
            return new Talaria(model, opened, engine, tokenizer, positions);
        } catch (IOException | RuntimeException | Error e) {
            try (model;
                    Deployment failed = opened) {
                throw e;
            }
        }
    }

    private int rows() {
        return chunk.orElse(devices.size() > 1 ? DEFAULT_CHUNK_OF_SEVERAL : DEFAULT_CHUNK);
    }

    private int positions(int trained) {
        if (context > trained) {
            throw new IllegalArgumentException(
                    "a context of " + context + " is more than the " + trained + " that the model was trained for");
        }
        if (context < 0 || rows() < 1 || kvPositions < 0 || parallel < 1) {
            throw new IllegalArgumentException("context " + context + ", KV positions " + kvPositions + ", chunk "
                    + rows() + " and parallel " + parallel + " must be positive");
        }
        return context == 0 ? Math.min(trained, DEFAULT_CONTEXT) : context;
    }

    /** @param device the first one's name */
    private PlanSetting setting(String device, int positions, EngineOptions engineOptions) {
        return new PlanSetting(
                decoderOptions(device, positions),
                decoder -> Engine.prepare(decoder, engineOptions),
                Optional.of(other -> setting(device, other, new EngineOptions(other, engineOptions.parallel()))));
    }

    private DecoderOptions decoderOptions(String device, int positions) {
        boolean exact = device.startsWith("reference");
        Activations mode = activations != null ? activations : exact ? Activations.EXACT : Activations.INT8;
        TensorType cache = kvType != null ? kvType : exact ? TensorType.F32 : TensorType.F16;
        int blocks = DecoderOptions.blocksFor(Math.max(positions, kvPositions));
        DecoderOptions options = DecoderOptions.of(mode, cache, blocks, rows());
        return batchInvariant ? options.withBatchInvariance() : options;
    }
}
