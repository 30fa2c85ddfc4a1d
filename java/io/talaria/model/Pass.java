package io.talaria.model;

import io.talaria.backend.Batch;
import io.talaria.backend.DecoderOps;
import io.talaria.backend.Device;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A forward pass over one device or several: steps, and rows that travel between them. Where one device waits for
 * another, its step is cut; devices that do not wait work at the same time.
 *
 * <p>Rows travel through host memory by reading and writing, so that devices of any kinds can work together, and one that
 * fails is heard of at once.
 */
final class Pass implements AutoCloseable {
    private final StepOptions options;
    private final Set<Verb> verbs;
    private final List<Part> parts = new ArrayList<>();
    private Device composing;
    private Optional<Step> open = Optional.empty();
    private final RowCarrier carrier = new RowCarrier();

    private sealed interface Part {}

    private record Run(Device device, Step step) implements Part {}

    private record Move(Device from, Tensor source, Device to, Tensor target, long targetOffset, long rowBytes)
            implements Part {}

    Pass(StepOptions options, Set<Verb> verbs) {
        this.options = options;
        this.verbs = verbs;
    }

    /** The step that goes on at a device: the one before, if that is of the same device and has not been cut. */
    DecoderOps on(Device device) {
        if (open.isEmpty() || composing != device) {
            cut();
            composing = device;
            Step step = device.newStep(options);
            open = Optional.of(step);
            parts.add(new Run(device, step));
        }
        return verbs.equals(Verb.ALL) ? open.get() : new ChosenVerbs(open.get(), verbs);
    }

    /** Ends the step that is being composed: what comes next is a step of its own. */
    void cut() {
        open.ifPresent(Step::end);
        open = Optional.empty();
    }

    /** Brings the batch's rows from the beginning of one device's tensor into another's, once both are that far. */
    void move(Device from, Tensor source, Device to, Tensor target, long targetOffset, long rowBytes) {
        cut();
        parts.add(new Move(from, source, to, target, targetOffset, rowBytes));
    }

    /** Queues it, as far as no device has to wait for another. */
    void run(Batch batch) {
        for (Part part : parts) {
            switch (part) {
                case Run run -> run.device().run(run.step(), batch);
                case Move move ->
                    carrier.carry(
                            move.from(),
                            move.source(),
                            move.to(),
                            move.target(),
                            move.targetOffset(),
                            Math.toIntExact(move.rowBytes() * batch.rows()));
            }
        }
    }

    @Override
    public void close() {
        for (Part part : parts) {
            if (part instanceof Run run && !run.device().lost()) {
                run.step().close();
            }
        }
    }
}
