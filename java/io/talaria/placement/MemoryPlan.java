package io.talaria.placement;

import io.talaria.backend.MemoryUse;
import io.talaria.model.Placement;
import java.util.List;
import java.util.Optional;

/**
 * What a model takes on each of its devices.
 *
 * @param shares in the order of the devices
 * @param why this placement was chosen, a sentence; empty if it is the one that was asked for
 */
public record MemoryPlan(Placement placement, List<Share> shares, Optional<String> why) {
    public MemoryPlan {
        shares = List.copyOf(shares);
    }

    MemoryPlan because(String reason) {
        return new MemoryPlan(placement, shares, Optional.of(reason));
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

    /** Whether all devices together have so much free. */
    boolean fitsTogether() {
        return shares.stream()
                        .mapToLong(share -> share.device().freeBytes() - share.bytes())
                        .sum()
                >= 0;
    }
}
