package io.talaria.model;

import io.talaria.backend.Device;
import io.talaria.backend.Shape;
import io.talaria.backend.Tensor;
import io.talaria.backend.TopLogits;
import io.talaria.model.Placement.LayerPlace;
import io.talaria.quant.TensorType;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The activations of one device for the rows of a micro-batch, or of a batch that is not divided. The device's part owns them. */
final class Workspace {
    private final DecoderPart part;
    private final int rows;
    private final ModelConfig config;
    private final DecoderOptions options;

    private Tensor x; // [rows][H], the residual stream
    private Tensor h; // [rows][H], normed for router and experts
    private Tensor q; // [rows][N * D]
    private Tensor attended; // [rows][N * D]
    private final List<Tensor> routing = new ArrayList<>(); // [rows][2 * K]: expert ids and weights; one, or per layer
    private final Map<Integer, Tensor> slots = new HashMap<>(); // by sources, [S][rows][K][H]
    private final Map<Integer, Tensor> sums = new HashMap<>(); // by sources, [S][rows][1][H]
    private Tensor own; // [rows][H], its own of them
    private final Map<Integer, Tensor> tops = new HashMap<>(); // by k, [rows][3k + 1]
    private Optional<Tensor> logits = Optional.empty(); // [rows][V]

    private Workspace(DecoderPart part, int rows, ModelConfig config, DecoderOptions options) {
        this.part = part;
        this.rows = rows;
        this.config = config;
        this.options = options;
    }

    /** What the device's share of the work needs. */
    static Workspace allocate(
            DecoderPart part, int rows, ModelConfig config, DecoderOptions options, Placement placement) {
        Workspace made = new Workspace(part, rows, config, options);
        made.allocate(placement);
        return made;
    }

    private void allocate(Placement placement) {
        if (part.attends()) {
            int queryWidth = config.queryWidth() / config.kvHeads() * part.kvHeads();
            x = floats("x", Shape.of(rows, config.hidden()));
            q = floats("q", Shape.of(rows, queryWidth));
            attended = floats("attended", Shape.of(rows, queryWidth));
        }
        if (part.attends() || part.hasExperts()) {
            h = floats("h", Shape.of(rows, config.hidden()));
            for (int i = 0; i < (options.keepRouting() ? config.layers() : 1); i++) {
                Shape shape = Shape.of(rows, 2L * config.expertsUsed());
                routing.add(part.alloc("routing", Tensor.Kind.ACTIVATION, TensorType.I32, shape));
            }
        }
        placement.layers().forEach(this::allocateSlots);
        if (placement.last() == part.index()) {
            top(options.topK());
            if (options.keepLogits()) {
                logits = Optional.of(floats("logits", Shape.of(rows, config.vocabulary())));
            }
        }
    }

    /** What the experts of a layer write here, and what comes from other devices. */
    private void allocateSlots(LayerPlace layer) {
        int sources = layer.sources().size();
        boolean source = layer.sources().contains(part.index());
        if (layer.dividesAttention() && layer.attending().contains(part.index())) {
            slots(1);
            slots(sources);
            own();
            sums(sources);
        } else if (layer.home() == part.index()) {
            slots(sources);
            int away = source ? sources - 1 : sources;
            if (layer.isDivided() && away > 0) {
                slots(1);
                sums(away);
            }
        } else if (source) {
            slots(1);
            if (layer.isDivided()) {
                own();
            }
        }
    }

    DecoderPart part() {
        return part;
    }

    Device device() {
        return part.device();
    }

    int rows() {
        return rows;
    }

    Tensor x() {
        return x;
    }

    Tensor h() {
        return h;
    }

    Tensor q() {
        return q;
    }

    Tensor attended() {
        return attended;
    }

    Tensor routing(int layer) {
        return routing.get(options.keepRouting() ? layer : 0);
    }

    /** One result per source, row and chosen expert. */
    Tensor slots(int sources) {
        Shape shape = new Shape(sources, rows, config.expertsUsed(), config.hidden());
        return slots.computeIfAbsent(sources, count -> floats("slots", shape));
    }

    /** Parts that are added to x: one for each source and row. */
    Tensor sums(int sources) {
        Shape shape = new Shape(sources, rows, 1, config.hidden());
        return sums.computeIfAbsent(sources, count -> floats("parts of x", shape));
    }

    /** This device's own. */
    Tensor own() {
        if (own == null) {
            own = floats("part of x", Shape.of(rows, config.hidden()));
        }
        return own;
    }

    Tensor top(int k) {
        Shape shape = Shape.of(rows, TopLogits.words(k, 0));
        return tops.computeIfAbsent(k, words -> part.alloc("top", Tensor.Kind.ACTIVATION, TensorType.I32, shape));
    }

    Optional<Tensor> logits() {
        return logits;
    }

    private Tensor floats(String label, Shape shape) {
        return part.alloc(label, Tensor.Kind.ACTIVATION, TensorType.F32, shape);
    }
}
