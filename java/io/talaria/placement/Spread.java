package io.talaria.placement;

import io.talaria.backend.TensorSource;
import io.talaria.model.Model;
import io.talaria.model.ModelConfig;
import io.talaria.model.ModelWeights.LayerWeights;
import io.talaria.model.Placement;
import io.talaria.model.Placement.LayerPlace;
import io.talaria.placement.Planner.Places;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/**
 * Divides a model among devices with different room. Devices with memory of their own share in proportion to their room;
 * the host has what they have no room for.
 */
final class Spread {
    /** Of all formats, the most values that share a scale. */
    private static final int LARGEST_BLOCK = 256;

    private final Model model;
    private final ModelConfig config;
    private final long[] room;
    private final boolean[] host;

    /**
     * @param room bytes for weights and KV cache, per device
     * @param host whether a device's memory is the host's
     */
    Spread(Model model, long[] room, boolean[] host) {
        this.model = model;
        this.config = model.config();
        this.room = LongStream.of(room).map(bytes -> Math.max(0, bytes)).toArray();
        this.host = host;
    }

    /** @throws IllegalArgumentException if this model cannot be divided so among these devices */
    Placement place(Places.By by, long kvBytes) {
        return switch (by.split()) {
            case EXPERTS -> experts(kvBytes, by.cpuExperts());
            case FFN -> columns(kvBytes);
            case LAYERS -> layers(kvBytes);
        };
    }

    private Placement experts(long kvBytes, OptionalInt onCpu) {
        if (onCpu.isEmpty()) {
            return placement(
                    deal(kvBytes, config.experts(), config.experts(), i -> true), owners -> new LayerPlace(0, owners));
        }
        int count = onCpu.getAsInt();
        int cpu = devices().filter(i -> host[i]).findFirst().orElse(-1);
        if (cpu < 0 || devices().allMatch(i -> host[i])) {
            throw new IllegalArgumentException("experts can be given to the cpu where it is one device among others");
        }
        if (count < 0 || count > config.experts()) {
            throw new IllegalArgumentException(
                    count + " experts of each layer for the cpu: this model has " + config.experts());
        }
        List<Integer> last = Collections.nCopies(count, cpu);
        int dealt = config.experts() - count;
        return placement(
                deal(kvBytes, config.experts(), dealt, i -> !host[i]),
                owners -> new LayerPlace(
                        0, Stream.concat(owners.stream(), last.stream()).toList()));
    }

    /** Every layer's columns by blocks; where those are not whole, the last device has the rest of them. */
    private Placement columns(long kvBytes) {
        int block = columnBlock();
        int blocks = config.ffn() / block;
        return placement(deal(kvBytes, blocks, blocks, i -> true), owners -> {
            Integer[] columns = devices()
                    .mapToObj(i -> Collections.frequency(owners, i) * block)
                    .toArray(Integer[]::new);
            columns[Collections.max(owners)] += config.ffn() % block;
            return LayerPlace.divided(0, List.of(columns));
        });
    }

    /** 256 keeps the blocks of all formats whole; small models are divided more finely if theirs allow it. */
    private int columnBlock() {
        int least = model.weights().layers().stream()
                .mapToInt(LayerWeights::columnBlock)
                .max()
                .orElseThrow();
        int block = config.ffn() >= LARGEST_BLOCK * room.length ? LARGEST_BLOCK : least;
        if (config.ffn() < block * room.length) {
            throw new IllegalArgumentException("the experts of " + model.name() + " have " + config.ffn()
                    + " columns in blocks of " + block + ", too few to divide each among " + room.length
                    + " devices; divide by experts or layers");
        }
        return block;
    }

    private static Placement placement(List<List<Integer>> dealt, Function<List<Integer>, LayerPlace> place) {
        return new Placement(dealt.stream().map(place).toList());
    }

    /**
     * Deals out pieces of every layer's experts, of equal size: each goes to the device that is furthest behind its share, so
     * that every layer uses all of them.
     *
     * @param pieces that a layer's experts have
     * @param dealt how many of them are dealt out
     * @param among the devices that have a part
     * @return for each layer the device of each piece
     */
    private List<List<Integer>> deal(long kvBytes, int pieces, int dealt, IntPredicate among) {
        long shared = kvBytes + ends();
        double all = 0;
        for (LayerWeights layer : model.weights().layers()) {
            shared += bytes(layer.shared());
            all += (double) bytes(layer.experts()) / pieces * dealt;
        }
        long[] left = room.clone();
        left[0] = Math.max(0, left[0] - shared);
        int[] takers = devices().filter(among).toArray();
        double[] shares = shares(left, all);
        double[] given = new double[left.length];
        double sum = 0;
        List<List<Integer>> layers = new ArrayList<>();
        for (LayerWeights layer : model.weights().layers()) {
            double each = (double) bytes(layer.experts()) / pieces;
            List<Integer> owners = new ArrayList<>();
            for (int piece = 0; piece < dealt; piece++) {
                sum += each;
                int best = furthestBehind(takers, shares, given, sum / all, left, each);
                given[best] += each;
                owners.add(best);
            }
            layers.add(owners);
        }
        return layers;
    }

    private IntStream devices() {
        return IntStream.range(0, room.length);
    }

    /** One with room for it, if there is any. */
    private static int furthestBehind(
            int[] takers, double[] shares, double[] given, double part, long[] left, double bytes) {
        int best = -1;
        boolean bestHasRoom = false;
        for (int i : takers) {
            boolean hasRoom = given[i] + bytes <= left[i];
            boolean behind = best < 0 || shares[i] * part - given[i] > shares[best] * part - given[best];
            if (best < 0 || (hasRoom && !bestHasRoom) || (hasRoom == bestHasRoom && behind)) {
                best = i;
                bestHasRoom = hasRoom;
            }
        }
        return best;
    }

    /** Layers in their order; a device is full when its share is, or when its room is. */
    private Placement layers(long kvBytes) {
        List<LayerWeights> weights = model.weights().layers();
        long[] bytes = new long[weights.size()];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = bytes(weights.get(i).shared()) + bytes(weights.get(i).experts()) + kvBytes / bytes.length;
        }
        bytes[0] += model.weights()
                .embedding()
                .type()
                .bytes(model.weights().embedding().shape().elements());
        bytes[bytes.length - 1] += ends();
        double[] shares = shares(room, LongStream.of(bytes).sum());
        int device = 0;
        double given = 0;
        List<LayerPlace> places = new ArrayList<>();
        for (long layer : bytes) {
            while (device < room.length - 1 && (given + layer / 2.0 > shares[device] || given + layer > room[device])) {
                device++;
                given = 0;
            }
            given += layer;
            places.add(LayerPlace.whole(device, config.experts()));
        }
        return new Placement(places);
    }

    /** Bytes for each device, together all. */
    private double[] shares(long[] left, double all) {
        boolean onlyHosts = IntStream.range(0, host.length).allMatch(i -> host[i]);
        double own = IntStream.range(0, host.length)
                .filter(i -> onlyHosts || !host[i])
                .mapToDouble(i -> left[i])
                .sum();
        double onOwn = onlyHosts ? all : Math.min(all, own);
        long hosts = IntStream.range(0, host.length).filter(i -> host[i]).count();
        double[] shares = new double[host.length];
        Arrays.setAll(
                shares, i -> onlyHosts || !host[i] ? (own == 0 ? 0 : onOwn * left[i] / own) : (all - onOwn) / hosts);
        return shares;
    }

    /** Output product and norm, and the embedding. */
    private long ends() {
        List<TensorSource> ends = List.of(
                model.weights().embedding(),
                model.weights().outputNorm(),
                model.weights().output());
        return bytes(ends);
    }

    private static long bytes(List<TensorSource> sources) {
        return sources.stream()
                .mapToLong(source -> source.type().bytes(source.shape().elements()))
                .sum();
    }
}
