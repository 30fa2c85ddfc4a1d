package io.talaria.placement;

import java.util.Optional;

/**
 * A way to place a model on devices.
 *
 * @param name short, for a table
 * @param layout empty if there is none for these devices
 * @param problem why it cannot be, or does not fit; empty if it can
 */
public record Strategy(String name, Kind kind, Optional<Layout> layout, Optional<String> problem) {
    /** Whether there is such a placement. */
    public enum Kind {
        /** One device has everything: what others are compared with. */
        ALONE,
        /** A split that there is, with the name of its option. */
        SPLIT,
        /** A placement that there is, as a file alone. */
        FILE,
        /** It is not there: the speed is what it would give. */
        ESTIMATE
    }

    /** What is not there, and could be. */
    static Strategy estimate(String name, Layout layout) {
        return new Strategy(name, Kind.ESTIMATE, Optional.of(layout), Optional.empty());
    }

    static Strategy impossible(String name, Kind kind, String problem) {
        return new Strategy(name, kind, Optional.empty(), Optional.of(problem));
    }
}
