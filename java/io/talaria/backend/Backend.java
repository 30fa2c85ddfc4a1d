package io.talaria.backend;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/** One way of computing: {@code reference}, {@code cpu}, {@code cuda} and so on. Found by {@link Backends}. */
public interface Backend {
    /** The name that users type before the colon of a device, such as {@code cpu}. */
    String name();

    /** Why this backend has no device here, as a sentence; empty if it has one. Never throws. */
    Optional<String> unavailable();

    /** The devices that {@link #open} takes, by index; empty if the backend is unavailable. */
    List<DeviceInfo> devices();

    /** The device to take where none is named; empty if there is none, or the {@code cpu} backend is better. Never throws. */
    default OptionalInt preferred() {
        return unavailable().isPresent() ? OptionalInt.empty() : OptionalInt.of(0);
    }

    /** The shared library that computes, where it was found; empty if there is none. Never throws. */
    default Optional<Path> library() {
        return Optional.empty();
    }

    /**
     * A stand-in for a device, to plan with: weights, tensors and steps can be made on it as on the device itself, but
     * take no memory and no time; {@link Device#memory} tells what they would take. Nothing can be read from it or run.
     *
     * @param index of a device that is here; empty for one that is not, of which it takes no less than any would
     * @return empty if the backend has none
     */
    default Optional<Device> plan(OptionalInt index, OpenOptions options) {
        return Optional.empty();
    }

    /**
     * Opens a device.
     *
     * @throws DeviceException if there is no such device, or it cannot be opened
     */
    Device open(int index, OpenOptions options);
}
