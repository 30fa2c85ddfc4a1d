package io.talaria.model;

import io.talaria.backend.BatchShape;
import io.talaria.backend.DecoderOps;
import io.talaria.backend.DeviceInfo;
import io.talaria.backend.Tensor;
import io.talaria.model.DecoderPart.AttentionLayer;
import io.talaria.model.Pass.Rows;
import io.talaria.model.Pass.Trip;
import io.talaria.model.Placement.LayerPlace;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/** The forward pass: what every device computes, in which order, and what travels between them. */
final class ForwardPass {
    /** From how many rows on a device adds up its parts of the slots before they travel: then bytes cost more than launches. */
    static final int SUMMED_ROWS = 16;

    private final Pass pass;
    private final ModelConfig config;
    private final DecoderOptions options;
    private final Placement placement;
    private final List<Workspace> parts;
    private final Staging staging;

    /** Whether parts of slots travel as their sum. */
    private boolean summed;

    /** Who has x as the layer so far has left it. */
    private List<Workspace> current;

    /**
     * @param parts the devices' rows, in the order of the placement's numbers
     * @param staging of experts that the layers' homes compute, instead of the devices that have them
     */
    ForwardPass(
            Pass pass,
            ModelConfig config,
            DecoderOptions options,
            Placement placement,
            List<Workspace> parts,
            Staging staging) {
        this.pass = pass;
        this.config = config;
        this.options = options;
        this.placement = placement;
        this.parts = parts;
        this.staging = staging;
    }

    /** All layers, from the tokens on. */
    void composeLayers(BatchShape shape) {
        summed = shape.rows() >= SUMMED_ROWS && !options.batchInvariant();
        Workspace first = parts.get(placement.first());
        on(first).embed(first.x(), first.part().embedding());
        current = List.of(first);
        for (int i = 0; i < config.layers(); i++) {
            LayerPlace place = placement.layers().get(i);
            List<Workspace> attending = parts(place.attending());
            bring(attending);
            if (attending.size() == 1) {
                layer(parts.get(place.home()), i);
            } else {
                dividedLayer(attending, parts.get(place.home()), i);
            }
        }
    }

    /**
     * What comes behind the layers, if rows can be wanted.
     *
     * @param k how many of the best tokens are wanted
     */
    void composeTop(BatchShape shape, int k) {
        Workspace last = parts.get(placement.last());
        if (shape.wanted() > 0) {
            on(last).topLogits(last.top(k), last.x(), last.part().output(), k, last.logits());
        }
    }

    /** x to those who have it not, from the first who has. */
    private void bring(List<Workspace> needing) {
        Workspace from = needing.contains(current.getFirst()) || current.size() == 1
                ? current.getFirst()
                : current.stream().filter(needing::contains).findFirst().orElse(current.getFirst());
        List<Trip> trips = needing.stream()
                .filter(part -> !current.contains(part))
                .map(to -> trip("x", from, to, false, new Rows(from.x(), to.x(), 0, rowBytes(config.hidden()))))
                .toList();
        travel(trips);
        current = needing;
    }

    private void layer(Workspace home, int i) {
        AttentionLayer layer = home.part().layer(i);
        DecoderOps ops = on(home);
        ops.attentionInput(
                home.q(), home.x(), layer.attention(), home.part().kv(), layer.kvIndex()); // norm, q k v, RoPE
        ops.attention(home.attended(), home.q(), home.part().kv(), layer.kvIndex()); // causal, grouped-query
        ops.attentionOutput(home.x(), home.attended(), layer.attention()); // x += Wo · attended
        ops.route(home.routing(i), home.h(), home.x(), layer.router()); // h = norm(x); top-k experts and weights
        experts(home, i); // x += w · down(silu(gate · h) ⊙ up · h), in slot order
    }

    /**
     * The experts of a layer, each on the device that has it: h and the routing travel there, every device fills slots of
     * its own, with zeros for experts that are elsewhere, and those come back to the home. All added up, they are the same
     * bits wherever they were computed. Where columns are divided, every device fills all slots with its part of the sum
     * over them, and what they add up to depends on where they are parted, in the last bits.
     */
    private void experts(Workspace home, int layer) {
        LayerPlace place = placement.layers().get(layer);
        List<Workspace> sources = parts(place.sources());
        List<Workspace> away = sources.stream().filter(part -> part != home).toList();
        if (summed && place.isDivided() && staging.isEmpty() && !away.isEmpty()) {
            summedExperts(home, away, sources.contains(home), layer);
            return;
        }
        Tensor slots = home.slots(sources.size());
        List<Workspace> computing = away.stream()
                .filter(part -> !staging.has(layer, part.part().index()))
                .toList();
        sendRouting(home, computing, layer);
        for (Workspace part : computing) {
            on(part).experts(
                            part.slots(1),
                            part.h(),
                            part.routing(layer),
                            part.part().experts(layer));
        }
        if (sources.contains(home)) {
            on(home).experts(slots, home.h(), home.routing(layer), home.part().experts(layer));
        }
        // The home writes the first source; the others have the planes behind it.
        int plane = sources.size() - away.size();
        List<Trip> trips = new ArrayList<>();
        for (Workspace part : away) {
            long offset = (long) plane++ * home.rows() * slotBytes();
            if (computing.contains(part)) {
                trips.add(trip("slots", part, home, true, new Rows(part.slots(1), slots, offset, slotBytes())));
            } else {
                fetch(home, layer, part, offset);
            }
        }
        travel(trips);
        on(home).addSlots(home.x(), slots);
    }

    /** Divided experts of which every device adds up its parts of a row's slots. */
    private void summedExperts(Workspace home, List<Workspace> away, boolean atHome, int layer) {
        sendRouting(home, away, layer);
        List<Trip> trips = new ArrayList<>();
        for (Workspace part : away) {
            on(part).experts(
                            part.slots(1),
                            part.h(),
                            part.routing(layer),
                            part.part().experts(layer));
            sumSlots(part);
            long offset = (long) trips.size() * home.rows() * rowBytes(config.hidden());
            Rows rows = new Rows(part.own(), home.sums(away.size()), offset, rowBytes(config.hidden()));
            trips.add(trip("sum of slots", part, home, true, rows));
        }
        if (atHome) {
            on(home).experts(
                            home.slots(1),
                            home.h(),
                            home.routing(layer),
                            home.part().experts(layer));
            on(home).addSlots(home.x(), home.slots(1));
        }
        travel(trips);
        on(home).addSlots(home.x(), home.sums(away.size()));
    }

    /** part = the sum of the slots. */
    private void sumSlots(Workspace part) {
        on(part).copy(part.own(), 0, part.part().zeros(), 0, rowBytes(config.hidden()));
        on(part).addSlots(part.own(), part.slots(1));
    }

    /** Experts that another device has, fetched and computed at home, into the slots behind so many bytes. */
    private void fetch(Workspace home, int layer, Workspace holder, long offset) {
        Staging.Fetched fetched = staging.of(layer, holder.part().index());
        pass.reload(home.device(), fetched.reloads());
        int sources = placement.layers().get(layer).sources().size();
        // Experts write a tensor's first plane; it is the only one if nobody else has any.
        on(home).experts(home.slots(1), home.h(), home.routing(layer), fetched.weights());
        if (sources > 1) {
            on(home).copy(home.slots(sources), offset, home.slots(1), 0, slotBytes());
        }
    }

    private void sendRouting(Workspace home, List<Workspace> away, int layer) {
        travel(away.stream()
                .map(to -> trip(
                        "h and routing",
                        home,
                        to,
                        true,
                        new Rows(home.h(), to.h(), 0, rowBytes(config.hidden())),
                        new Rows(home.routing(layer), to.routing(layer), 0, rowBytes(2L * config.expertsUsed()))))
                .toList());
    }

    /**
     * A layer whose attention is divided as well: all have x, compute their heads' part of attention and their columns' part of
     * the experts, and exchange both, so that all have x again. Parts are added in the same order everywhere, so x is the
     * same bits everywhere.
     */
    private void dividedLayer(List<Workspace> group, Workspace home, int i) {
        for (Workspace part : group) {
            AttentionLayer layer = part.part().layer(i);
            DecoderOps ops = on(part);
            ops.attentionInput(
                    part.q(), part.x(), layer.attention(), part.part().kv(), layer.kvIndex());
            ops.attention(part.attended(), part.q(), part.part().kv(), layer.kvIndex());
            ops.copy(part.own(), 0, part.part().zeros(), 0, rowBytes(config.hidden()));
            ops.attentionOutput(part.own(), part.attended(), layer.attention());
        }
        String attention = "part of attention";
        exchange(attention, group, Workspace::own, part -> part.sums(group.size()), rowBytes(config.hidden()));
        for (Workspace part : group) {
            on(part).addSlots(part.x(), part.sums(group.size()));
        }
        route(group, home, i);
        for (Workspace part : group) {
            on(part).experts(
                            part.slots(1),
                            part.h(),
                            part.routing(i),
                            part.part().experts(i));
        }
        if (summed) {
            group.forEach(this::sumSlots);
            String sum = "sum of slots";
            exchange(sum, group, Workspace::own, part -> part.sums(group.size()), rowBytes(config.hidden()));
        } else {
            exchange("slots", group, part -> part.slots(1), part -> part.slots(group.size()), slotBytes());
        }
        for (Workspace part : group) {
            on(part).addSlots(part.x(), summed ? part.sums(group.size()) : part.slots(group.size()));
        }
    }

    /**
     * Every device by itself, if all are of one backend and one make: what they compute is the same bits. Others may differ in
     * the last bits of h, and so in who is chosen where two experts are all but even: then the home decides.
     */
    private void route(List<Workspace> group, Workspace home, int layer) {
        boolean alike = group.stream().map(ForwardPass::make).distinct().count() == 1;
        for (Workspace part : alike ? group : List.of(home)) {
            on(part).route(
                            part.routing(layer),
                            part.h(),
                            part.x(),
                            part.part().layer(layer).router());
        }
        if (!alike) {
            sendRouting(home, group.stream().filter(part -> part != home).toList(), layer);
        }
    }

    private static String make(Workspace part) {
        DeviceInfo info = part.device().info();
        return info.device().split(":")[0] + " " + info.name();
    }

    /**
     * Each device's rows into everybody's planes, in the order of devices. Nothing says that they have been taken, so between
     * two exchanges of one kind there has to be one of another.
     */
    private void exchange(
            String what,
            List<Workspace> group,
            Function<Workspace, Tensor> own,
            Function<Workspace, Tensor> planes,
            long rowBytes) {
        List<Trip> trips = new ArrayList<>();
        for (int i = 0; i < group.size(); i++) {
            Workspace from = group.get(i);
            long offset = (long) i * from.rows() * rowBytes;
            on(from).copy(planes.apply(from), offset, own.apply(from), 0, rowBytes);
            for (Workspace to : group) {
                if (to != from) {
                    trips.add(
                            trip(what, from, to, true, new Rows(own.apply(from), planes.apply(to), offset, rowBytes)));
                }
            }
        }
        travel(trips);
    }

    private static Trip trip(String what, Workspace from, Workspace to, boolean answered, Rows... rows) {
        return new Trip(what, from.device(), to.device(), List.of(rows), answered);
    }

    private void travel(List<Trip> trips) {
        if (!trips.isEmpty()) {
            pass.travel(trips);
        }
    }

    private List<Workspace> parts(List<Integer> devices) {
        return devices.stream().map(parts::get).toList();
    }

    private DecoderOps on(Workspace part) {
        return pass.on(part.device());
    }

    private long slotBytes() {
        return rowBytes((long) config.expertsUsed() * config.hidden());
    }

    private static long rowBytes(long words) {
        return words * Float.BYTES;
    }
}
