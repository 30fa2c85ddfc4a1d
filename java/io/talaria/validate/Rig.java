package io.talaria.validate;

import io.talaria.backend.Activations;
import io.talaria.backend.Batch;
import io.talaria.backend.Device;
import io.talaria.backend.KvCache;
import io.talaria.backend.Shape;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.backend.TensorSource;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** Tensors on a device for as long as a comparison takes. Weights are loaded once; whatever a verb writes begins as NaN. */
final class Rig implements AutoCloseable {
    /** A quiet NaN, and no number that an id or a count would have. */
    static final int BLANK = 0x7fc0_5eed;

    private final Device device;
    private final Map<TensorSource, Tensor> weights = new IdentityHashMap<>();
    private final List<Tensor> caches = new ArrayList<>();
    private final List<Tensor> activations = new ArrayList<>();

    Rig(Device device) {
        this.device = device;
    }

    Tensor weight(TensorSource source) throws IOException {
        Tensor loaded = weights.get(source);
        if (loaded == null) {
            loaded = device.load(source);
            weights.put(source, loaded);
        }
        return loaded;
    }

    KvCache cache(TensorType type, Shape shape, int headDim) {
        for (String half : new String[] {"keys", "values"}) {
            caches.add(device.alloc(half, Tensor.Kind.KV, type, shape));
        }
        return new KvCache(caches.get(caches.size() - 2), caches.getLast(), headDim);
    }

    /** An F32 activation with these values in front and NaN behind them. */
    Tensor floats(String label, Shape shape, float... values) {
        ByteBuffer words = blank(shape);
        words.asFloatBuffer().put(values);
        return written(label, TensorType.F32, shape, words);
    }

    /** An I32 activation with these values in front. */
    Tensor ints(String label, Shape shape, int... values) {
        ByteBuffer words = blank(shape);
        words.asIntBuffer().put(values);
        return written(label, TensorType.I32, shape, words);
    }

    private static ByteBuffer blank(Shape shape) {
        ByteBuffer words = bytes(shape.elements());
        while (words.hasRemaining()) {
            words.putInt(BLANK);
        }
        return words.clear();
    }

    private Tensor written(String label, TensorType type, Shape shape, ByteBuffer words) {
        Tensor tensor = device.alloc(label, Tensor.Kind.ACTIVATION, type, shape);
        activations.add(tensor);
        device.write(tensor, 0, words);
        return tensor;
    }

    /** Runs one step over one batch. */
    void run(Activations mode, Batch batch, Consumer<Step> verbs) {
        try (Step step = device.newStep(new StepOptions(mode, batch.shape()))) {
            verbs.accept(step);
            step.end();
            device.run(step, batch);
            device.sync();
        }
    }

    /** The first {@code count} floats; what lies behind must still be as it was made. */
    float[] floats(Tensor tensor, int count) {
        float[] values = new float[count];
        read(tensor, count).asFloatBuffer().get(values);
        return values;
    }

    /** The first {@code count} ints; what lies behind must still be as it was made. */
    int[] ints(Tensor tensor, int count) {
        int[] values = new int[count];
        read(tensor, count).asIntBuffer().get(values);
        return values;
    }

    private ByteBuffer read(Tensor tensor, int count) {
        ByteBuffer words = bytes(tensor.shape().elements());
        device.read(tensor, 0, words);
        for (int i = count; i < words.capacity() / Integer.BYTES; i++) {
            int word = words.getInt(i * Integer.BYTES);
            boolean kept = tensor.type() == TensorType.F32 ? Float.isNaN(Float.intBitsToFloat(word)) : word == BLANK;
            if (!kept) {
                throw new VerbFault("wrote to row " + i / tensor.shape().columns() + " of '" + tensor.label()
                        + "', which is past the batch's rows");
            }
        }
        return words.clear();
    }

    private static ByteBuffer bytes(long words) {
        return ByteBuffer.allocateDirect(Math.toIntExact(words * Integer.BYTES)).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Frees the activations; weights and caches stay. */
    void clear() {
        activations.forEach(device::free);
        activations.clear();
    }

    @Override
    public void close() {
        clear();
        weights.values().forEach(device::free);
        weights.clear();
        caches.forEach(device::free);
        caches.clear();
    }
}
