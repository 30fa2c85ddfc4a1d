package io.talaria.placement;

import java.util.Optional;

/**
 * A way to place a model on devices.
 *
 * @param name short, for a table
 * @param option what the command line has for it; empty if it is not there and the speed is what it would give
 * @param layout empty if there is none for these devices
 * @param problem why it cannot be, or does not fit; empty if it can
 */
public record Strategy(String name, Optional<String> option, Optional<Layout> layout, Optional<String> problem) {
    static Strategy of(String name, Optional<String> option, Layout layout) {
        return new Strategy(name, option, Optional.of(layout), Optional.empty());
    }

    static Strategy none(String name, Optional<String> option, String problem) {
        return new Strategy(name, option, Optional.empty(), Optional.of(problem));
    }
}
