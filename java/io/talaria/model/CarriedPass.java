package io.talaria.model;

import io.talaria.backend.Batch;
import io.talaria.backend.Device;
import io.talaria.backend.Step;
import io.talaria.backend.StepOptions;
import io.talaria.model.Staging.Reload;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Steps one after the other, cut where a device needs rows of another or other weights; the caller reads them and writes them.
 */
final class CarriedPass extends Pass {
    private final List<Part> parts = new ArrayList<>();
    private Device composing;
    private Optional<Step> open = Optional.empty();
    private final RowCarrier carrier = new RowCarrier();

    private sealed interface Part {}

    private record Run(Device device, Step step) implements Part {}

    private record Move(Device from, Rows rows, Device to) implements Part {}

    private record Reloading(Device device, List<Reload> reloads) implements Part {}

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
    void send(Device from, Device to, List<Rows> rows, boolean answered) {
        end();
        rows.forEach(each -> parts.add(new Move(from, each, to)));
    }

    @Override
    void reload(Device device, List<Reload> reloads) {
        end();
        parts.add(new Reloading(device, reloads));
    }

    @Override
    void run(Batch batch) throws IOException {
        for (Part part : parts) {
            switch (part) {
                case Run run -> run.device().run(run.step(), batch);
                case Move move -> carry(move, batch.rows());
                case Reloading reloading -> reload(reloading);
            }
        }
    }

    private static void reload(Reloading reloading) throws IOException {
        for (Reload reload : reloading.reloads()) {
            reloading.device().reload(reload.weight(), reload.source());
        }
    }

    private void carry(Move move, int count) {
        Rows rows = move.rows();
        int bytes = Math.toIntExact(rows.rowBytes() * count);
        carrier.carry(move.from(), rows.source(), move.to(), rows.target(), rows.targetOffset(), bytes);
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
