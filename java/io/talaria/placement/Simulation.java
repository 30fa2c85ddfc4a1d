package io.talaria.placement;

import io.talaria.model.Decoder;
import io.talaria.placement.Layout.Layer;
import io.talaria.placement.ModelWork.LayerWork;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * How long a forward pass over several devices should take, before a byte has moved: every layer after the other, in each
 * first the home's attention, then rows to the other devices, the experts on all of them at the same time, of which the
 * slowest counts, and rows back.
 *
 * <p>Writing one text is reading weights: bytes / bandwidth. Which experts a token uses is random, so it is the mean of the
 * slowest device over all sets ({@link ExpertChoice}), and not the slowest mean. Reading a prompt is computing: operations /
 * (operations per second), or the bytes if those take longer; its many tokens use experts by their shares.
 */
public final class Simulation {
    private final ModelWork work;
    private final List<ExpertChoice> choices;
    private final List<Worker> workers;
    private final Costs costs;

    /**
     * Seconds, and of what.
     *
     * @param work reading weights and KV cache, or computing
     * @param link rows between devices, or experts from the host
     * @param overhead beginning layers and the pass
     */
    public record Time(double work, double link, double overhead) {
        public double total() {
            return work + link + overhead;
        }

        Time plus(Time other) {
            return new Time(work + other.work, link + other.link, overhead + other.overhead);
        }
    }

    /** @param choices which experts are used, for each layer */
    public Simulation(ModelWork work, List<ExpertChoice> choices, List<Worker> workers, Costs costs) {
        this.work = work;
        this.choices = List.copyOf(choices);
        this.workers = List.copyOf(workers);
        this.costs = costs;
    }

    /** One token of one text, behind so many others. */
    public Time token(Layout layout, int before) {
        return pass(layout, 1, before, new double[workers.size()], false);
    }

    /**
     * A prompt in one batch; empty if nobody knows how fast a device computes. As {@link Decoder} has it, where layers have
     * several homes it goes through them in pieces: the first through all, and then whenever the slowest device is done with
     * one; and where layers are over several devices with one home in two halves.
     */
    public Optional<Time> prompt(Layout layout, int rows) {
        double pieces = rows < 2 * Decoder.PIECE_ROWS ? 1 : (double) rows / Decoder.PIECE_ROWS;
        double[] byHome = new double[workers.size()];
        Time time = pass(layout, (int) (rows / pieces), rows / 2, byHome, false);
        long homes = Arrays.stream(byHome).filter(seconds -> seconds > 0).count();
        if (homes > 1) {
            time = time.plus(working((pieces - 1) * slowest(byHome)));
        } else {
            boolean halved =
                    rows >= Decoder.HALVED_ROWS && layout.layers().stream().anyMatch(Simulation::overSeveral);
            time = pass(layout, rows, rows / 2, byHome, halved);
        }
        return Double.isNaN(time.total()) ? Optional.empty() : Optional.of(time);
    }

    /**
     * @param before positions that a row looks at, in the mean
     * @param byHome is added to: the seconds of the layers of each home
     * @param halved whether it goes in two halves
     */
    private Time pass(Layout layout, int rows, int before, double[] byHome, boolean halved) {
        int home = layout.layers().getFirst().home();
        Time time = new Time(0, 0, costs.stepMicroseconds() / 1e6);
        for (int i = 0; i < layout.layers().size(); i++) {
            Layer layer = layout.layers().get(i);
            if (layer.home() != home) {
                time = time.plus(transfer(rows * work.hiddenBytes()));
                home = layer.home();
            }
            Time taken = halved ? halves(i, layer, rows, before) : layer(i, layer, rows, before);
            byHome[home] += taken.total();
            time = time.plus(taken);
        }
        return time.plus(working(workers.get(home).seconds(work.endBytes(), 0)));
    }

    private static boolean overSeveral(Layer layer) {
        return switch (layer) {
            case Layer.Whole whole -> holders(whole).stream().anyMatch(device -> device != whole.home());
            case Layer.Divided divided ->
                holders(divided.parts()).stream().anyMatch(device -> device != divided.home());
            case Layer.Tensor tensor -> holders(tensor.parts()).size() > 1;
            case Layer.Cached cached -> false;
        };
    }

    /**
     * A layer of a batch in two halves. A device computes one while the other travels or is elsewhere, so the busiest device
     * counts, with both; or a half's way through the layer, if that takes longer, or the copies of a courier. Without a courier
     * copies of rows take a device's own time, and what is hidden is waiting. Each half begins its kernels and steps anew.
     */
    private Time halves(int i, Layer layer, int rows, int before) {
        int half = Math.ceilDiv(rows, 2);
        Time through = layer(i, layer, half, before);
        int steps = layer instanceof Layer.Tensor ? 2 : 1;
        double queueing = steps * costs.stepMicroseconds() / 1e6;
        double begin = 2 * (through.overhead() + queueing);
        double computing = 2 * busiest(i, layer, half, before, new double[workers.size()]);
        Travel[] travelling = travelling(layer, half);
        double[] carried = new double[travelling.length];
        double[] copied = new double[travelling.length]; // in the queue that computes
        for (int device = 0; device < travelling.length; device++) {
            Worker worker = workers.get(device);
            carried[device] = travelling[device].seconds(costs.link());
            copied[device] = worker.courier() ? travelling[device].secondsBesideCourier(worker) : carried[device];
        }
        double busy = 2 * busiest(i, layer, half, before, copied) + begin;
        double total = Math.max(Math.max(busy, 2 * slowest(carried)), through.total() + queueing);
        return new Time(computing, total - computing - begin, begin);
    }

    /** Transfers that a device takes part in, and their bytes. */
    private record Travel(double transfers, double bytes) {
        static final Travel NONE = new Travel(0, 0);

        Travel plus(Travel other) {
            return new Travel(transfers + other.transfers, bytes + other.bytes);
        }

        /** Its part of them: a transfer is a copy on one device and one on the other, half of its time each. */
        double seconds(Link link) {
            return (transfers * link.seconds(0) + bytes / (link.gigabytesPerSecond() * 1e9)) / 2;
        }

        /** What is left to it where couriers carry them: copies between places in its own memory. */
        double secondsBesideCourier(Worker worker) {
            return worker.seconds(2 * bytes, 0); // read and written
        }
    }

    /** Of each device in a layer. */
    private Travel[] travelling(Layer layer, int rows) {
        Travel[] all = new Travel[workers.size()];
        Arrays.fill(all, Travel.NONE);
        List<Integer> holders = switch (layer) {
            case Layer.Whole whole -> holders(whole);
            case Layer.Divided divided -> holders(divided.parts());
            case Layer.Tensor tensor -> holders(tensor.parts());
            case Layer.Cached cached -> List.of();
        };
        if (layer instanceof Layer.Tensor) { // two exchanges, each out to all others and in from all
            int ways = 2 * (holders.size() - 1);
            Travel each = new Travel(2 * ways, ways * (rows * work.hiddenBytes() + slots(rows, true)));
            holders.forEach(device -> all[device] = each);
            return all;
        }
        Travel each =
                new Travel(2, rows * work.hiddenBytes() + routing(rows) + slots(rows, layer instanceof Layer.Divided));
        for (int device : holders) {
            if (device != layer.home()) {
                all[device] = all[device].plus(each);
                all[layer.home()] = all[layer.home()].plus(each);
            }
        }
        return all;
    }

    /** Seconds of the device that computes longest in a layer. @param besides what each device does besides */
    private double busiest(int i, Layer layer, int rows, int before, double[] besides) {
        Amounts of = amounts(i, rows, before);
        double[] seconds = besides.clone();
        if (!(layer instanceof Layer.Tensor)) {
            seconds[layer.home()] += workers.get(layer.home()).seconds(of.shared(), of.sharedFlops());
        }
        return switch (layer) {
            case Layer.Whole whole -> ofMany(i, whole, rows, seconds);
            case Layer.Divided divided ->
                slowest(sums(seconds, parts(divided.parts(), of.experts(), of.expertFlops())));
            case Layer.Tensor tensor ->
                slowest(sums(
                        sums(seconds, parts(tensor.attention(), of.shared(), of.sharedFlops())),
                        parts(tensor.parts(), of.experts(), of.expertFlops())));
            case Layer.Cached cached -> throw new IllegalArgumentException("one device alone has a cache of experts");
        };
    }

    private static double[] sums(double[] a, double[] b) {
        return IntStream.range(0, a.length).mapToDouble(i -> a[i] + b[i]).toArray();
    }

    /**
     * What all devices together do of a layer.
     *
     * @param shared bytes of attention, cache and router
     * @param experts bytes of those that are used
     */
    private record Amounts(double shared, double sharedFlops, double experts, double expertFlops) {}

    private Amounts amounts(int i, int rows, int before) {
        LayerWork of = work.layers().get(i);
        // Many tokens use all experts, and read each once.
        double experts = rows > 1 ? choices.get(i).experts() : work.expertsUsed();
        return new Amounts(
                of.sharedBytes() + before * of.kvBytes(),
                flops(rows, of.sharedFlops() + before * of.scoreFlops()),
                experts * of.expertBytes(),
                flops(rows, work.expertsUsed() * of.expertFlops()));
    }

    private Time layer(int i, Layer layer, int rows, int before) {
        LayerWork of = work.layers().get(i);
        Amounts amounts = amounts(i, rows, before);
        double shared = amounts.shared();
        double sharedFlops = amounts.sharedFlops();
        double experts = amounts.experts();
        double expertFlops = amounts.expertFlops();
        Worker home = workers.get(layer.home());
        Time begin = new Time(0, 0, costs.layerMicroseconds() / 1e6);
        return switch (layer) {
            case Layer.Whole whole -> {
                double slowest =
                        rows > 1 ? ofMany(i, whole, rows, new double[workers.size()]) : ofOne(i, whole.holders());
                yield begin.plus(working(home.seconds(shared, sharedFlops) + slowest))
                        .plus(exchange(whole.home(), holders(whole), rows, false));
            }
            case Layer.Divided divided -> {
                double slowest = slowest(parts(divided.parts(), experts, expertFlops));
                yield begin.plus(working(home.seconds(shared, sharedFlops) + slowest))
                        .plus(exchange(divided.home(), holders(divided.parts()), rows, true));
            }
            case Layer.Tensor tensor -> {
                // All wait for all, once for attention and once for the experts' slots; both ways at the same time.
                double slowest = slowest(parts(tensor.attention(), shared, sharedFlops))
                        + slowest(parts(tensor.parts(), experts, expertFlops));
                long others = tensor.parts().stream().filter(part -> part > 0).count() - 1;
                yield begin.plus(working(slowest)).plus(new Time(0, exchanges(others, rows), 0));
            }
            case Layer.Cached cached -> {
                ExpertChoice choice = choices.get(i);
                double misses = rows > 1 ? choice.experts() - cached.kept() : choice.misses(cached.kept());
                double fetching = misses * costs.link().seconds(of.expertBytes());
                double seconds = home.seconds(shared + experts, sharedFlops + expertFlops);
                yield begin.plus(working(seconds)).plus(new Time(0, fetching, 0));
            }
        };
    }

    private static Time working(double seconds) {
        return new Time(seconds, 0, 0);
    }

    /** One token computes nothing that would take longer than reading. */
    private static double flops(int rows, double each) {
        return rows > 1 ? rows * each : 0;
    }

    /** Seconds in the mean until the last device has computed its experts of one token. */
    double ofOne(int layer, List<List<Integer>> holders) {
        double bytes = work.layers().get(layer).expertBytes();
        return choices.get(layer).mean(set -> fastest(set, holders, bytes, new double[workers.size()]));
    }

    /** Those that are on several devices go where all are done soonest. */
    private double fastest(int set, List<List<Integer>> holders, double bytes, double[] seconds) {
        if (set == 0) {
            return slowest(seconds);
        }
        double best = Double.POSITIVE_INFINITY;
        for (int device : holders.get(Integer.numberOfTrailingZeros(set))) {
            double before = seconds[device];
            seconds[device] += workers.get(device).seconds(bytes, 0);
            best = Math.min(best, fastest(set & (set - 1), holders, bytes, seconds));
            seconds[device] = before;
        }
        return best;
    }

    /**
     * The same of many tokens. What is on several devices fills up those that would be done first.
     *
     * @param besides seconds for which each device does something else
     */
    private double ofMany(int i, Layer.Whole layer, int rows, double[] besides) {
        LayerWork of = work.layers().get(i);
        double[] bytes = new double[workers.size()];
        double[] flops = new double[workers.size()];
        double anywhere = 0;
        for (int expert = 0; expert < layer.holders().size(); expert++) {
            List<Integer> devices = layer.holders().get(expert);
            double computed = choices.get(i).share(expert) * rows * of.expertFlops();
            devices.forEach(device -> bytes[device] += of.expertBytes());
            if (devices.size() == 1) {
                flops[devices.getFirst()] += computed;
            } else {
                anywhere += computed;
            }
        }
        double[] seconds = new double[workers.size()];
        Arrays.setAll(seconds, device -> besides[device] + workers.get(device).seconds(bytes[device], flops[device]));
        return Math.max(slowest(seconds), level(seconds, anywhere));
    }

    /** When all are done, if what can be computed anywhere is dealt out so that all are done together. */
    private double level(double[] seconds, double flops) {
        double[] busy = byHardware(seconds);
        double sum = flops;
        double speed = 0;
        for (int i = 0; i < workers.size() && flops > 0; i++) {
            if (workers.get(i).hardware() == i) {
                double own = workers.get(i).teraflops().orElse(Double.NaN) * 1e12;
                sum += busy[i] * own;
                speed += own;
            }
        }
        return flops > 0 ? sum / speed : 0;
    }

    private double[] parts(List<Double> parts, double bytes, double flops) {
        return IntStream.range(0, workers.size())
                .mapToDouble(i -> workers.get(i).seconds(parts.get(i) * bytes, parts.get(i) * flops))
                .toArray();
    }

    private double slowest(double[] seconds) {
        return Arrays.stream(byHardware(seconds)).max().orElseThrow();
    }

    private double[] byHardware(double[] seconds) {
        double[] sums = new double[seconds.length];
        for (int i = 0; i < seconds.length; i++) {
            sums[workers.get(i).hardware()] += seconds[i];
        }
        return sums;
    }

    /** There and back: h with the routing, and slots, for one device that is not the home after the other. */
    private Time exchange(int home, Collection<Integer> holders, int rows, boolean parts) {
        long away = holders.stream().filter(device -> device != home).count();
        if (away == 0) {
            return new Time(0, 0, 0);
        }
        double h = rows * work.hiddenBytes();
        Link link = costs.link();
        return new Time(0, away * (link.seconds(h + routing(rows)) + link.seconds(slots(rows, parts))), 0);
    }

    /** All with all, once for attention and once for the experts' slots; both ways at the same time. */
    private double exchanges(long others, int rows) {
        Link link = costs.link();
        return others * (link.seconds(rows * work.hiddenBytes()) + link.seconds(slots(rows, true)));
    }

    /** Bytes of ids and weights. */
    private double routing(int rows) {
        return rows * 2.0 * work.expertsUsed() * Float.BYTES;
    }

    /** Bytes. Of many rows parts of slots travel as their sum. */
    private double slots(int rows, boolean parts) {
        return rows * (parts && rows >= Decoder.SUMMED_ROWS ? 1 : work.expertsUsed()) * work.hiddenBytes();
    }

    private static List<Integer> holders(Layer.Whole layer) {
        return layer.holders().stream().flatMap(List::stream).distinct().toList();
    }

    private static List<Integer> holders(List<Double> parts) {
        return IntStream.range(0, parts.size())
                .filter(i -> parts.get(i) > 0)
                .boxed()
                .toList();
    }

    private Time transfer(double bytes) {
        return new Time(0, costs.link().seconds(bytes), 0);
    }
}
