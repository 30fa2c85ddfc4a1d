package io.talaria.placement;

import io.talaria.backend.MemoryUse;
import io.talaria.model.DecoderOptions;
import io.talaria.model.Placement;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What a model takes on each of its devices.
 *
 * @param shares in the order of the devices
 * @param options what the decoder is to be loaded with
 * @param why this placement was chosen, a sentence; empty if it is the one that was asked for
 */
public record MemoryPlan(Placement placement, List<Share> shares, DecoderOptions options, Optional<String> why) {
    public MemoryPlan {
        shares = List.copyOf(shares);
    }

    MemoryPlan because(String reason) {
        return new MemoryPlan(placement, shares, options, Optional.of(reason));
    }

    /** One device's part. */
    public record Share(PlanDevice device, MemoryUse use) {
        /** What drivers take for themselves and for whole pages. */
        public long overheadBytes() {
            return Math.addExact(use.rounding(), device.overheadBytes());
        }

        /** All that it takes. */
        public long bytes() {
            return Math.addExact(use.total(), device.overheadBytes());
        }

        public boolean fits() {
            return bytes() <= device.freeBytes();
        }
    }

    public List<String> names() {
        return shares.stream().map(share -> share.device().name()).toList();
    }

    public boolean fits() {
        return shares.stream().allMatch(Share::fits);
    }

    /** Whether the host has experts of layers whose home is another device. */
    boolean leavesExpertsToHost() {
        return placement.layers().stream()
                .filter(layer -> !layer.dividesAttention())
                .anyMatch(layer -> layer.sources().stream()
                        .anyMatch(source -> source != layer.home()
                                && shares.get(source).device().host()));
    }

    /** From how many rows on their experts are streamed; empty if they are not. */
    public OptionalInt streamedFrom() {
        boolean streamed = options.streams(options.maxRows()) && leavesExpertsToHost();
        return streamed ? OptionalInt.of(options.streamRows()) : OptionalInt.empty();
    }

    /** Whether all devices together have so much free. */
    boolean fitsTogether() {
        return shares.stream()
                        .mapToLong(share -> share.device().freeBytes() - share.bytes())
                        .sum()
                >= 0;
    }
}
