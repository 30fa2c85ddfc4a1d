package io.talaria.placement;

import io.talaria.backend.TensorSource;
import io.talaria.model.Model;
import io.talaria.model.ModelConfig;
import io.talaria.model.ModelWeights.LayerWeights;
import io.talaria.model.Placement;
import io.talaria.model.Placement.LayerPlace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * Divides a model among devices with different room. Devices with memory of their own share in proportion to their room;
 * the host has what they have no room for.
 */
final class Spread {
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

    Placement place(Split split, long kvBytes) {
        return switch (split) {
            case EXPERTS -> experts(kvBytes);
            case LAYERS -> layers(kvBytes);
        };
    }

    /** Each expert goes to the device that is furthest behind its share, so that every layer uses all of them. */
    private Placement experts(long kvBytes) {
        long shared = kvBytes + ends();
        long all = 0;
        for (LayerWeights layer : model.weights().layers()) {
            shared += bytes(layer.shared());
            all += bytes(layer.experts());
        }
        long[] left = room.clone();
        left[0] = Math.max(0, left[0] - shared);
        double[] shares = shares(left, all);
        double[] given = new double[left.length];
        double sum = 0;
        List<LayerPlace> places = new ArrayList<>();
        for (LayerWeights layer : model.weights().layers()) {
            double each = (double) bytes(layer.experts()) / config.experts();
            List<Integer> devices = new ArrayList<>();
            for (int expert = 0; expert < config.experts(); expert++) {
                sum += each;
                int best = furthestBehind(shares, given, sum / all, left, each);
                given[best] += each;
                devices.add(best);
            }
            places.add(new LayerPlace(0, devices));
        }
        return new Placement(places);
    }

    /** One with room for it, if there is any. */
    private static int furthestBehind(double[] shares, double[] given, double part, long[] left, double bytes) {
        int best = -1;
        boolean bestHasRoom = false;
        for (int i = 0; i < shares.length; i++) {
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
