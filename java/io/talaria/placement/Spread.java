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
import java.util.Comparator;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/**
 * Divides a model among devices with different room. Devices with memory of their own share whole experts and layers in
 * proportion to their room, and what all of them read at the same time in proportion to their bandwidth, if that is known
 * and as far as there is room. The host has what they have no room for.
 */
final class Spread {
    /** Of all formats, the most values that share a scale. */
    private static final int LARGEST_BLOCK = 256;

    private final Model model;
    private final ModelConfig config;
    private final long[] room;
    private final boolean[] host;
    private final double[] speed;

    /** What each device may have of the experts, and what it should have of them, in bytes. */
    private record Shares(double[] left, double[] due) {}

    /**
     * @param room bytes for weights and KV cache, per device
     * @param host whether a device's memory is the host's
     * @param speed of a device's memory; NaN if it is not known
     */
    Spread(Model model, long[] room, boolean[] host, double[] speed) {
        this.model = model;
        this.config = model.config();
        this.room = LongStream.of(room).map(bytes -> Math.max(0, bytes)).toArray();
        this.host = host;
        this.speed = speed;
    }

    /** @throws IllegalArgumentException if this model cannot be divided so among these devices */
    Placement place(Places.By by, long kvBytes) {
        return switch (by.split()) {
            case EXPERTS -> experts(kvBytes, by.cpuExperts());
            case FFN -> columns(kvBytes);
            case LAYERS -> layers(kvBytes);
            case TENSOR -> tensor(kvBytes);
        };
    }

    private Placement experts(long kvBytes, OptionalInt onCpu) {
        if (onCpu.isEmpty()) {
            Shares shares = shares(behindHome(kvBytes), expertBytes(), room());
            return placement(
                    deal(shares, config.experts(), config.experts(), i -> true), owners -> new LayerPlace(0, owners));
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
        Shares shares = shares(behindHome(kvBytes), expertBytes() / config.experts() * dealt, room());
        return placement(
                deal(shares, config.experts(), dealt, i -> !host[i]),
                owners -> new LayerPlace(
                        0, Stream.concat(owners.stream(), last.stream()).toList()));
    }

    /** Every layer's columns by blocks; where those are not whole, the last device has the rest of them. */
    private Placement columns(long kvBytes) {
        int block = columnBlock();
        int blocks = config.ffn() / block;
        Shares shares = shares(behindHome(kvBytes), expertBytes(), speeds());
        return placement(
                deal(shares, blocks, blocks, i -> true), owners -> LayerPlace.divided(0, columns(owners, block)));
    }

    private List<Integer> columns(List<Integer> owners, int block) {
        Integer[] columns = devices()
                .mapToObj(i -> Collections.frequency(owners, i) * block)
                .toArray(Integer[]::new);
        columns[Collections.max(owners)] += config.ffn() % block;
        return List.of(columns);
    }

    /** The same heads in every layer, and columns in every layer for who has heads. */
    private Placement tensor(long kvBytes) {
        double attention = kvBytes;
        double everywhere = 0; // norms and router
        for (LayerWeights layer : model.weights().layers()) {
            List<TensorSource> divided = List.of(layer.query(), layer.key(), layer.value(), layer.attentionOutput());
            attention += bytes(divided);
            everywhere += bytes(layer.shared()) - bytes(divided);
        }
        double[] left = room();
        left[0] -= ends();
        double others = everywhere;
        Arrays.setAll(left, i -> Math.max(0, left[i] - others));
        List<Integer> heads =
                heads(shares(left, attention + expertBytes(), speeds()).due());
        double ofHead = attention / config.kvHeads();
        Arrays.setAll(left, i -> Math.max(0, left[i] - heads.get(i) * ofHead));
        int block = columnBlock();
        int blocks = config.ffn() / block;
        Shares columns = shares(left, expertBytes(), speeds());
        return placement(deal(columns, blocks, blocks, i -> heads.get(i) > 0), owners -> {
            List<Integer> all = new ArrayList<>(owners);
            devices().filter(i -> heads.get(i) > 0 && !all.contains(i)).forEach(i -> giveOne(all, i));
            return LayerPlace.tensor(0, columns(all, block), heads);
        });
    }

    /** A piece of the owner that has most. */
    private static void giveOne(List<Integer> owners, int device) {
        int most = owners.stream()
                .max(Comparator.comparing(owner -> Collections.frequency(owners, owner)))
                .orElseThrow();
        owners.set(owners.lastIndexOf(most), device);
    }

    /** KV heads for each device, in proportion to the parts that are due to them; the home has some. */
    private List<Integer> heads(double[] due) {
        int width = config.queryWidth() / config.kvHeads();
        int block = model.weights().layers().stream()
                .mapToInt(LayerWeights::headBlock)
                .max()
                .orElseThrow();
        int together = 1; // KV heads whose output fills whole blocks
        while (together * width % block != 0) {
            together++;
        }
        int pieces = config.kvHeads() / together;
        if (config.kvHeads() % together != 0 || pieces < room.length) {
            throw new IllegalArgumentException("the attention of " + model.name() + " has " + config.kvHeads()
                    + " KV heads, of which " + together + " cannot be parted, too few to divide it among " + room.length
                    + " devices; divide by experts, ffn or layers");
        }
        double all = Arrays.stream(due).sum();
        double[] given = new double[due.length];
        double[] none = new double[due.length];
        Integer[] heads = new Integer[due.length];
        Arrays.fill(heads, 0);
        for (int piece = 0; piece < pieces; piece++) {
            double part = (piece + 1.0) / pieces;
            int best = piece == 0 ? 0 : furthestBehind(devices().toArray(), due, given, part, none, 1);
            given[best] += all / pieces;
            heads[best] += together;
        }
        return List.of(heads);
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

    /** The room that is left for experts where the first device has everything else. */
    private double[] behindHome(long kvBytes) {
        double shared = kvBytes + ends();
        for (LayerWeights layer : model.weights().layers()) {
            shared += bytes(layer.shared());
        }
        double[] left = room();
        left[0] = Math.max(0, left[0] - shared);
        return left;
    }

    private double[] room() {
        return LongStream.of(room).asDoubleStream().toArray();
    }

    private double expertBytes() {
        return model.weights().layers().stream()
                .mapToDouble(layer -> bytes(layer.experts()))
                .sum();
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
    private List<List<Integer>> deal(Shares of, int pieces, int dealt, IntPredicate among) {
        double all = expertBytes() / pieces * dealt;
        int[] takers = devices().filter(among).toArray();
        double[] given = new double[room.length];
        double sum = 0;
        List<List<Integer>> layers = new ArrayList<>();
        for (LayerWeights layer : model.weights().layers()) {
            double each = (double) bytes(layer.experts()) / pieces;
            List<Integer> owners = new ArrayList<>();
            for (int piece = 0; piece < dealt; piece++) {
                sum += each;
                int best = furthestBehind(takers, of.due(), given, sum / all, of.left(), each);
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
            int[] takers, double[] shares, double[] given, double part, double[] left, double bytes) {
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
        double[] due = shares(room(), LongStream.of(bytes).sum(), room()).due();
        int device = 0;
        double given = 0;
        List<LayerPlace> places = new ArrayList<>();
        for (long layer : bytes) {
            while (device < room.length - 1 && (given + layer / 2.0 > due[device] || given + layer > room[device])) {
                device++;
                given = 0;
            }
            given += layer;
            places.add(LayerPlace.whole(device, config.experts()));
        }
        return new Placement(places);
    }

    /** The bandwidths, if those of all devices with memory of their own are known; else their room. */
    private double[] speeds() {
        boolean known = devices().allMatch(i -> host[i] || speed[i] > 0);
        boolean onlyHosts = devices().allMatch(i -> host[i]);
        return known && !onlyHosts ? speed : room();
    }

    /** Bytes for each device, together {@code all}: in proportion to their weights, as far as there is room. */
    private Shares shares(double[] left, double all, double[] weight) {
        boolean onlyHosts = devices().allMatch(i -> host[i]);
        int[] takers = devices().filter(i -> onlyHosts || !host[i]).toArray();
        double room = Arrays.stream(takers).mapToDouble(i -> left[i]).sum();
        double onTakers = onlyHosts ? all : Math.min(all, room);
        double[] due = new double[left.length];
        double rest = onTakers;
        for (int round = 0;
                round < takers.length && rest > 0;
                round++) { // each fills up a device, or deals out the rest
            double dealt = rest;
            double weights = Arrays.stream(takers)
                    .filter(i -> due[i] < left[i])
                    .mapToDouble(i -> weight[i])
                    .sum();
            for (int i : takers) {
                if (due[i] < left[i] && weights > 0) {
                    double more = Math.min(dealt * weight[i] / weights, left[i] - due[i]);
                    due[i] += more;
                    rest -= more;
                }
            }
        }
        for (int i : takers) { // more than there is room for: so much too little everywhere
            due[i] += onlyHosts && room > 0 ? rest * left[i] / room : 0;
        }
        long hosts = devices().filter(i -> host[i]).count();
        devices().filter(i -> host[i] && !onlyHosts).forEach(i -> due[i] = (all - onTakers) / hosts);
        return new Shares(left, due);
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
