package io.talaria.model;

import io.talaria.backend.Batch;
import io.talaria.backend.Device;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Steps one after the other, cut where a device needs rows of another; the caller reads them and writes them. */
final class CarriedPass extends Pass {
    private final List<Part> parts = new ArrayList<>();
    private Device composing;
    private Optional<Step> open = Optional.empty();
    private ByteBuffer travelling = ByteBuffer.allocateDirect(0);

    private sealed interface Part {}

    private record Run(Device device, Step step) implements Part {}

    private record Move(Device from, Rows rows, Device to) implements Part {}

    CarriedPass(StepOptions options, Set<Verb> verbs) {
        super(options, verbs);
    }

    @Override
    Step step(Device device) {
        if (open.isEmpty() || composing != device) {
            end();
            composing = device;
            Step step = newStep(device);
            open = Optional.of(step);
            parts.add(new Run(device, step));
        }
        return open.get();
    }

    @Override
    void end() {
        open.ifPresent(Step::end);
        open = Optional.empty();
    }

    @Override
    void travel(List<Trip> trips) {
        end();
        for (Trip trip : trips) {
            trip.rows().forEach(rows -> parts.add(new Move(trip.from(), rows, trip.to())));
        }
    }

    @Override
    void run(Batch batch) {
        for (Part part : parts) {
            switch (part) {
                case Run run -> run.device().run(run.step(), batch);
                case Move move -> carry(move, batch.rows());
            }
        }
    }

    private void carry(Move move, int count) {
        Rows rows = move.rows();
        int bytes = Math.toIntExact(rows.rowBytes() * count);
        if (travelling.capacity() < bytes) {
            travelling = ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
        }
        move.from().read(rows.source(), 0, travelling.clear().limit(bytes));
        move.to().write(rows.target(), rows.targetOffset(), travelling.clear().limit(bytes));
    }

    @Override
    void abandon() {
        // nobody waits
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
