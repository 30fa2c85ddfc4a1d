package io.talaria.bench;

import io.talaria.bench.SyntheticTensors.Made;
import io.talaria.gguf.GgufWriter;
import io.talaria.model.ExpertLayout;
import io.talaria.model.Model;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A made-up model of any size that is nowhere in full: its header is in memory, and its weights come from short pools of
 * random blocks, repeated as often as needed. Reading it is copying memory, so that a device is filled as fast as its bus
 * allows, and the host holds no more than the pools.
 *
 * <p>A device cannot tell: blocks are random and valid, of the same deviations as those of {@link Synthesizer}. The length
 * of a pool is a prime number of blocks, and every matrix begins elsewhere in it, so no two rows are the same.
 */
public final class SyntheticModel {
    private static final long POOL_BYTES = 16 << 20;

    private final Map<String, Made> tensors = new HashMap<>();
    /** Bytes of all tensors that share a pool. */
    private final Map<PoolKey, Long> needed = new HashMap<>();

    private final Map<PoolKey, byte[]> pools = new ConcurrentHashMap<>();

    private record PoolKey(TensorType type, double deviation) {
        static PoolKey of(Made made) {
            return new PoolKey(made.type(), made.deviation());
        }
    }

    private SyntheticModel() {}

    /**
     * Opens the model; the same arguments give the same weights.
     *
     * @throws IllegalArgumentException if the recipe's types do not fit the shape
     */
    public static Model open(SyntheticShape shape, Recipe recipe) throws IOException {
        SyntheticModel model = new SyntheticModel();
        GgufWriter writer = new GgufWriter();
        SyntheticTensors.putMetadata(writer, shape, recipe);
        for (Made made : SyntheticTensors.of(shape, recipe, ExpertLayout.STACKED)) {
            model.tensors.put(made.name(), made);
            model.needed.merge(PoolKey.of(made), made.bytes(), Long::sum);
            writer.addTensor(made.name(), made.type(), made.dims(), channel -> {
                throw new IOException("a model in memory is not written");
            });
        }
        return Model.of(writer.open(shape.name() + ":" + recipe, model::read));
    }

    private void read(String name, long offset, ByteBuffer target) {
        Made made = tensors.get(name);
        byte[] pool = pools.computeIfAbsent(PoolKey.of(made), this::fill);
        long position = offset;
        while (target.hasRemaining()) {
            int part = (int) (position / made.partBytes());
            long within = position % made.partBytes();
            long blocks = pool.length / made.type().blockBytes();
            long start = Long.remainderUnsigned(made.parts().get(part).seed(), blocks)
                    * made.type().blockBytes();
            int at = (int) ((start + within) % pool.length);
            long stretch = Math.min(pool.length - at, made.partBytes() - within);
            int length = (int) Math.min(stretch, target.remaining());
            target.put(pool, at, length);
            position += length;
        }
    }

    private byte[] fill(PoolKey key) {
        TensorType type = key.type();
        long blocks = Math.min(POOL_BYTES, needed.get(key)) / type.blockBytes();
        byte[] pool = new byte[(int) primeUpTo(blocks) * type.blockBytes()];
        ByteBuffer bytes = ByteBuffer.wrap(pool).order(ByteOrder.LITTLE_ENDIAN);
        if (key.deviation() == 0) {
            while (bytes.hasRemaining()) {
                bytes.putFloat(1);
            }
        } else {
            long seed = 31L * type.id() + Double.hashCode(key.deviation());
            new RandomBlocks(seed, type, key.deviation()).fill(bytes);
        }
        return pool;
    }

    /** The largest prime that is no larger; 1 if there is none. */
    private static long primeUpTo(long limit) {
        long candidate = limit;
        while (candidate > 1 && !BigInteger.valueOf(candidate).isProbablePrime(30)) {
            candidate--;
        }
        return Math.max(1, candidate);
    }
}
