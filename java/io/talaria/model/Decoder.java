package io.talaria.model;

import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.backend.TensorSource;
import io.talaria.backend.TopLogits;
import io.talaria.model.ModelWeights.LayerWeights;
import io.talaria.model.Placement.LayerPlace;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * A model on a device, or on several: its weights, its KV cache, and the forward pass, composed once for each shape of
 * batch.
 *
 * <p>It owns what it allocates on the devices, but neither them nor the model; close it before either. Not for use by
 * several threads at once; nor are several decoders over the same devices.
 */
public final class Decoder implements AutoCloseable {
    /** Rows that follow one another through devices with layers of their own: enough to keep each busy. */
    public static final int PIECE_ROWS = 128;

    /** From so many rows on a batch goes in two halves through devices that divide layers. */
    public static final int HALVED_ROWS = MicroBatches.LEAST_ROWS;

    /** From so many rows on the parts of divided experts travel as their sum. */
    public static final int SUMMED_ROWS = ForwardPass.SUMMED_ROWS;

    private final ModelConfig config;
    private final DecoderOptions options;
    private final Placement placement;
    private final List<DecoderPart> parts;
    private final Map<PassKey, Pass> passes = new HashMap<>();
    private final Together together = new Together();
    private final boolean divides;
    private final Map<Device, Device> couriers = new HashMap<>(); // for batches that are divided
    private Staging staging = Staging.none();

    private ByteBuffer received = ByteBuffer.allocateDirect(0);
    private First first = First.ALL;

    /** What of a forward pass is composed. */
    private enum Extent {
        /** All of it. */
        WHOLE,
        /** The same, where experts that there is {@link Staging} for are computed at home. */
        STREAMED,
        /** The layers, for two micro-batches. */
        LAYERS,
        /** What comes behind them. Layers have many steps, which so are the same whatever is wanted. */
        TOP
    }

    /** @param k 0 for layers alone */
    private record PassKey(Extent extent, BatchShape shape, int k, Set<Verb> verbs) {
        boolean divided() {
            return extent == Extent.LAYERS || extent == Extent.TOP;
        }
    }

    /** What the first micro-batch has of the last batch. */
    private record First(int rows, int wanted) {
        static final First ALL = new First(Integer.MAX_VALUE, Integer.MAX_VALUE);

        static First of(Batch batch) {
            int rows = MicroBatches.inFirst(batch.rows(), MicroBatches.COUNT);
            int wanted = 0;
            while (wanted < batch.wanted() && batch.wantedRow(wanted) < rows) {
                wanted++;
            }
            return new First(rows, wanted);
        }
    }

    private Decoder(Model model, List<Device> devices, Placement placement, DecoderOptions options) {
        this.config = model.config();
        this.options = options;
        this.placement = placement;
        parts = IntStream.range(0, devices.size())
                .mapToObj(i -> new DecoderPart(i, devices.get(i), config, options, placement))
                .toList();
        divides = MicroBatches.pay(placement, options);
    }

    /** All queues that take part: those of the devices, and of their couriers. */
    private Stream<Device> queues() {
        return Stream.concat(parts.stream().map(DecoderPart::device), couriers.values().stream());
    }

    /**
     * Loads a model onto a device.
     *
     * @throws IOException if the file cannot be read, or is of a kind that can be looked at but not run
     * @throws io.talaria.backend.DeviceException if the device has no room for it, or does not compute one of its types
     */
    public static Decoder load(Model model, Device device, DecoderOptions options, LoadProgress progress)
            throws IOException {
        return load(model, List.of(device), Placement.single(model.config()), options, progress);
    }

    /**
     * Loads a model onto several devices.
     *
     * @param placement which of them has what
     * @throws IOException if the file cannot be read, or is of a kind that can be looked at but not run
     * @throws io.talaria.backend.DeviceException if a device has no room for its share, or does not compute one of its
     *     types, or the placement is not of this model; what was loaded is freed
     */
    public static Decoder load(
            Model model, List<Device> devices, Placement placement, DecoderOptions options, LoadProgress progress)
            throws IOException {
        model.requireExperts();
        placement.check(model, devices.size());
        Decoder decoder = new Decoder(model, devices, placement, options);
        try {
            decoder.load(model, progress);
            return decoder;
        } catch (IOException | RuntimeException e) {
            try (decoder) {
                throw e;
            }
        }
    }

    private void load(Model model, LoadProgress progress) throws IOException {
        ModelWeights weights = model.weights();
        Loader loader = new Loader(progress, ModelSummary.of(model).weightBytes());
        for (DecoderPart part : parts) {
            part.loadEmbedding(weights, loader);
        }
        for (int i = 0; i < config.layers(); i++) {
            LayerWeights layer = weights.layers().get(i);
            for (DecoderPart part : parts) {
                part.loadLayer(i, layer, loader);
            }
        }
        for (DecoderPart part : parts) {
            part.loadOutput(weights, loader);
        }
        model.file().verifyLength();
        int rows = options.maxRows();
        parts.forEach(part -> part.allocate(divides ? MicroBatches.workspaceRows(rows) : List.of(rows)));
        if (divides) {
            for (DecoderPart part : parts) {
                part.device().courier().ifPresent(courier -> couriers.put(part.device(), courier));
            }
        }
        if (options.streams(options.maxRows())) {
            staging = Staging.allocate(parts, placement, weights);
        }
    }

    /** Says after each weight how far it is. */
    private static final class Loader implements DecoderPart.Loader {
        private final LoadProgress progress;
        private final long total;
        private long done;

        Loader(LoadProgress progress, long total) {
            this.progress = progress;
            this.total = total;
        }

        @Override
        public Tensor load(DecoderPart part, TensorSource source) throws IOException {
            Tensor tensor = part.own(part.device().load(source));
            done += tensor.bytes();
            progress.loaded(done, Math.max(done, total)); // an embedding that is the output too may lie on two devices
            return tensor;
        }
    }

    private Pass compose(PassKey key) {
        StepOptions step = new StepOptions(options.activations(), key.shape(), options.batchInvariant());
        int count = key.divided() ? MicroBatches.COUNT : 1;
        Ways ways = new Ways(
                parts.stream().map(DecoderPart::device).toList(),
                key.divided() ? couriers : Map.of(),
                key.shape().rows());
        Pass pass = new Pass(ways, step, key.verbs(), count);
        try {
            Staging fetching = key.extent() == Extent.STREAMED ? staging : Staging.none();
            for (int i = 0; i < count; i++) {
                int microBatch = i;
                pass.begin(microBatch);
                List<Workspace> workspaces =
                        parts.stream().map(part -> part.workspace(microBatch)).toList();
                ForwardPass forward = new ForwardPass(pass, config, options, placement, workspaces, fetching);
                if (key.extent() != Extent.TOP) {
                    forward.composeLayers(key.shape());
                }
                if (key.extent() != Extent.LAYERS) {
                    forward.composeTop(key.shape(), key.k());
                }
            }
            pass.end();
            return pass;
        } catch (RuntimeException e) {
            try (pass) {
                throw e;
            }
        }
    }

    /**
     * Composes the forward pass for batches of a shape beforehand, so that what it takes of the devices' memory is taken.
     *
     * @throws io.talaria.backend.DeviceException if a device has not so much left
     */
    public void prepare(BatchShape shape, int k) {
        passes(shape, k, Verb.ALL, 1);
        passes(shape, k, Verb.ALL, shape.rows());
    }

    /** @param rows of the batch, of which a shape may have more */
    private List<Pass> passes(BatchShape shape, int k, Set<Verb> verbs, int rows) {
        if (divides && rows >= MicroBatches.LEAST_ROWS) {
            BatchShape half = MicroBatches.shape(shape);
            Pass layers = pass(new PassKey(Extent.LAYERS, half.withoutWanted(), 0, verbs));
            return shape.wanted() == 0
                    ? List.of(layers)
                    : List.of(layers, pass(new PassKey(Extent.TOP, half, k, verbs)));
        }
        boolean streamed = !staging.isEmpty() && options.streams(rows) && verbs.contains(Verb.EXPERTS);
        int most = parts.getFirst().workspace(0).rows();
        BatchShape narrow = divides && shape.rows() > most ? shape.withRows(most) : shape;
        return List.of(pass(new PassKey(streamed ? Extent.STREAMED : Extent.WHOLE, narrow, k, verbs)));
    }

    private Pass pass(PassKey key) {
        try {
            return passes.computeIfAbsent(key, this::compose);
        } catch (DeviceException e) { // perhaps of what ran before
            throw failed(e);
        }
    }

    /**
     * Queues the forward pass of a batch, of at most {@link DecoderOptions#maxRows} rows, those of a sequence in the order of
     * their positions. Where it streams experts, it waits for most of it.
     *
     * @throws UncheckedIOException if it streams experts and they cannot be read; the next batch is computed as if this one had
     *     not been, but for the cache at its positions
     */
    public void run(Batch batch) {
        run(batch, options.topK());
    }

    /** The same for the k best tokens of each wanted row, 1 to 1024 and at most the vocabulary. */
    public void run(Batch batch, int k) {
        run(passes(batch.shape(), k, Verb.ALL, batch.rows()), List.of(batch));
    }

    /**
     * The same, where layers are on several devices in pieces of the batch that follow one another through them: while one
     * device has a piece the one before it has the next. Results are the same; activations, and the choice of experts, are
     * those of the last piece.
     *
     * @return how many rows that has
     */
    public int runInPieces(Batch batch, int k) {
        List<Pass> passes = passes(batch.shape(), k, Verb.ALL, batch.rows());
        boolean reloads = passes.stream().anyMatch(Pass::reloads);
        List<Batch> pieces = reloads ? List.of(batch) : pieces(batch); // each would fetch experts anew
        run(passes, pieces);
        return pieces.getLast().rows();
    }

    /**
     * Queues some verbs of the forward pass, as often as it has them, for those who measure. They find in the activations
     * and the cache what was left there.
     */
    public void run(Batch batch, Set<Verb> verbs) {
        run(passes(batch.shape(), options.topK(), Set.copyOf(verbs), batch.rows()), List.of(batch));
    }

    private void run(List<Pass> passes, List<Batch> pieces) {
        try {
            for (Batch piece : pieces) {
                for (Pass pass : passes) {
                    pass.run(piece);
                }
                first = passes.getFirst().isDivided() ? First.of(piece) : First.ALL;
            }
        } catch (DeviceException e) {
            throw failed(e);
        } catch (IOException e) {
            recover();
            throw new UncheckedIOException(e.getMessage(), e);
        } catch (RuntimeException | Error e) {
            recover(); // or those that are queued would wait for those that are not
            throw e;
        }
    }

    /** The wanted rows are all in the last piece. A row's results do not depend on which others are with it. */
    private List<Batch> pieces(Batch batch) {
        long homes = placement.layers().stream()
                .mapToInt(LayerPlace::home)
                .distinct()
                .count();
        int end = batch.wanted() > 0 ? Math.min(batch.wantedRow(0), batch.rows()) : batch.rows();
        if (homes == 1 || end < PIECE_ROWS || batch.rows() < 2 * PIECE_ROWS) {
            return List.of(batch);
        }
        List<Batch> pieces = new ArrayList<>();
        int from = 0;
        while (from + PIECE_ROWS <= end && from + PIECE_ROWS < batch.rows()) {
            pieces.add(batch.part(from, from + PIECE_ROWS));
            from += PIECE_ROWS;
        }
        pieces.add(batch.part(from, batch.rows()));
        return pieces;
    }

    /** Waits for all batches so far. */
    public void sync() {
        wait(queues().map(queue -> (Runnable) queue::sync).toList());
    }

    /** Waits for what one device is asked for, the first, and for all others. */
    private void wait(List<Runnable> waits) {
        List<DeviceException> failures =
                together.run(waits, failure -> passes.values().forEach(Pass::abandon));
        if (!failures.isEmpty()) {
            throw failed(failures.stream().reduce(failures.getFirst(), Decoder::graver));
        }
    }

    /**
     * Frees those who wait for the device that has failed, so that they can go on with something else. What was composed is
     * composed anew if it is asked for again.
     *
     * @return the failure behind others, which only say that a device has waited in vain
     */
    private DeviceException failed(DeviceException first) {
        return parts.size() == 1 ? first : recover().stream().reduce(first, Decoder::graver);
    }

    /** Ends what is under way, and returns what failed of it. */
    private List<DeviceException> recover() {
        passes.values().forEach(Pass::abandon);
        List<Runnable> waits = queues().filter(queue -> !queue.lost())
                .map(queue -> (Runnable) queue::sync)
                .toList();
        List<DeviceException> failures =
                new ArrayList<>(waits.isEmpty() ? List.of() : together.run(waits, failure -> {}));
        List<Pass> ended = List.copyOf(passes.values());
        passes.clear();
        for (Pass pass : ended) {
            try {
                pass.close();
            } catch (DeviceException e) {
                failures.add(e);
            }
        }
        return failures;
    }

    /** The first, if they are as grave; rather any than one that only says that another has failed. */
    private static DeviceException graver(DeviceException first, DeviceException second) {
        boolean vain = first.waitedInVain() && !second.waitedInVain();
        return vain || second.kind().compareTo(first.kind()) > 0 ? second : first;
    }

    /** Waits for the last batch and reads the best tokens of its wanted rows. Valid until the next read. */
    public TopLogits top(int wanted) {
        return top(wanted, options.topK());
    }

    /** The same after a run for the k best. */
    public TopLogits top(int wanted, int k) {
        int words = TopLogits.words(k, 0);
        return new TopLogits(k, 0, read(last(), one -> one.top(k), wanted, first.wanted(), words * Integer.BYTES));
    }

    /** Waits for the last batch and reads all logits of its wanted rows, {@code [wanted][V]}. Valid until the next read. */
    public FloatBuffer logits(int wanted) {
        if (!options.keepLogits()) {
            throw new IllegalStateException("this decoder keeps no logits");
        }
        int rowBytes = config.vocabulary() * Float.BYTES;
        return read(last(), one -> one.logits().orElseThrow(), wanted, first.wanted(), rowBytes)
                .asFloatBuffer();
    }

    /**
     * Waits for the last batch and reads which experts a layer chose for its rows: {@code [rows][K]}, in order of their
     * weights.
     */
    public int[][] experts(int layer, int rows) {
        if (!options.keepRouting()) {
            throw new IllegalStateException("this decoder keeps no routing");
        }
        int used = config.expertsUsed();
        DecoderPart home = parts.get(placement.layers().get(layer).home());
        ByteBuffer bytes = read(home, one -> one.routing(layer), rows, first.rows(), 2 * used * Integer.BYTES);
        int[][] chosen = new int[rows][used];
        for (int row = 0; row < rows; row++) {
            bytes.asIntBuffer().get(row * 2 * used, chosen[row]);
        }
        return chosen;
    }

    /**
     * Rows of the last batch in the order in which it had them, in the one buffer that all reads share.
     *
     * @param tensor that has those of a micro-batch
     * @param inFirst how many of them are in the first
     */
    private ByteBuffer read(DecoderPart part, Function<Workspace, Tensor> tensor, int rows, int inFirst, int rowBytes) {
        int bytes = Math.multiplyExact(rows, rowBytes);
        if (received.capacity() < bytes) {
            received = ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
        }
        received.clear().limit(bytes);
        int firstBytes = Math.min(rows, inFirst) * rowBytes;
        List<Runnable> waits = new ArrayList<>();
        waits.add(() -> {
            part.device().read(tensor.apply(part.workspace(0)), 0, received(0, firstBytes));
            if (firstBytes < bytes) {
                part.device().read(tensor.apply(part.workspace(1)), 0, received(firstBytes, bytes - firstBytes));
            }
        });
        queues().filter(queue -> queue != part.device()).forEach(queue -> waits.add(queue::sync));
        wait(waits);
        return received(0, bytes);
    }

    private ByteBuffer received(int from, int bytes) {
        return received.slice(from, bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private DecoderPart last() {
        return parts.get(placement.last());
    }

    public DecoderOptions options() {
        return options;
    }

    public ModelConfig config() {
        return config;
    }

    /** Frees the weights, the caches and the steps. Closing twice does nothing. */
    @Override
    public void close() {
        passes.values().forEach(Pass::close);
        passes.clear();
        parts.forEach(DecoderPart::close);
        together.close();
    }
}
