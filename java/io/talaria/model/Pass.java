package io.talaria.model;

import io.talaria.backend.Batch;
import io.talaria.backend.DecoderOps;
import io.talaria.backend.Device;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.backend.Tensor;
import io.talaria.model.Staging.Reload;
import java.io.IOException;
import java.util.List;
import java.util.Set;

/** A forward pass over one device or several: steps, and rows that travel between them. Composed once, run often. */
abstract class Pass implements AutoCloseable {
    private final StepOptions options;
    private final Set<Verb> verbs;

    /**
     * Rows of the batch that travel.
     *
     * @param source from its beginning
     * @param target behind so many bytes
     */
    record Rows(Tensor source, Tensor target, long targetOffset, long rowBytes) {}

    Pass(StepOptions options, Set<Verb> verbs) {
        this.options = options;
        this.verbs = verbs;
    }

    /** A pass over these devices, of which each meets the others if all can. */
    static Pass over(List<Device> devices, StepOptions options, Set<Verb> verbs) {
        boolean meet =
                devices.size() == 1 || devices.stream().allMatch(device -> device.meeting() != Device.Meeting.NOBODY);
        return meet ? new MeetingPass(devices, options, verbs) : new CarriedPass(options, verbs);
    }

    /** A pass that may {@link #reload} weights: the host takes part in it. */
    static Pass carried(StepOptions options, Set<Verb> verbs) {
        return new CarriedPass(options, verbs);
    }

    /** Composes what comes next on a device. */
    final DecoderOps on(Device device) {
        Step step = step(device);
        return verbs.equals(Verb.ALL) ? step : new ChosenVerbs(step, verbs);
    }

    /** The step that goes on at a device. */
    abstract Step step(Device device);

    final Step newStep(Device device) {
        return device.newStep(options);
    }

    final int mostRows() {
        return options.batch().rows();
    }

    /**
     * Brings rows from one device to another, once it is that far.
     *
     * @param answered whether rows that the other sends back, before these are sent again, depend on them
     */
    abstract void send(Device from, Device to, List<Rows> rows, boolean answered);

    /** Has weights of a device overwritten, once it is that far, and before what comes next there. */
    void reload(Device device, List<Reload> reloads) {
        throw new IllegalStateException("the steps of this pass do not stop for the host");
    }

    /** Ends composing. */
    abstract void end();

    /**
     * Queues it.
     *
     * @throws IOException if it reloads weights and they cannot be read
     */
    abstract void run(Batch batch) throws IOException;

    /** Frees devices that wait for one which has failed. The pass does not run again. */
    abstract void abandon();

    @Override
    public abstract void close();
}
