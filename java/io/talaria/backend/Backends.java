package io.talaria.backend;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.ServiceLoader;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The backends that are built in, and the devices that users name. */
public final class Backends {
    private static final Pattern DEVICE = Pattern.compile("([a-z]+)(?::(\\d{1,3}))?");
    /** Best first. The reference is never chosen unless it is named. */
    private static final List<String> PREFERENCE = List.of("cuda", "hip", "metal", "opencl", "cpu");

    private Backends() {}

    /** All backends, in the order in which they are preferred, the others after them. */
    public static List<Backend> all() {
        List<Backend> backends = new ArrayList<>();
        ServiceLoader.load(Backend.class, Backends.class.getClassLoader()).forEach(backends::add);
        backends.sort((a, b) -> Integer.compare(rank(a.name()), rank(b.name())));
        return backends;
    }

    /** The names of backends that Talaria means to have and that this build has not. */
    public static List<String> notBuilt() {
        List<String> built = all().stream().map(Backend::name).toList();
        return PREFERENCE.stream().filter(name -> !built.contains(name)).toList();
    }

    private static int rank(String name) {
        int rank = PREFERENCE.indexOf(name);
        return rank < 0 ? PREFERENCE.size() : rank;
    }

    /**
     * Opens the device that a user named: {@code cpu}, {@code cuda:1}, {@code reference}.
     *
     * @throws DeviceException if the name is malformed or there is no such device here; the message says what there is
     */
    public static Device open(String device, OpenOptions options) {
        Named named = find(device);
        return named.backend().open(named.index(), options);
    }

    /**
     * What is known of a device that a user named.
     *
     * @throws DeviceException as {@link #open(String, OpenOptions)} does
     */
    public static DeviceInfo info(String device) {
        Named named = find(device);
        return named.backend().devices().get(named.index());
    }

    /**
     * A stand-in for the device that a user named, to plan with; empty if its backend has none.
     *
     * @throws DeviceException as {@link #open(String, OpenOptions)} does
     */
    public static Optional<Device> plan(String device, OpenOptions options) {
        Named named = find(device);
        return named.backend().plan(OptionalInt.of(named.index()), options);
    }

    /** A stand-in for a GPU that is not here; empty if no backend of this build has one. */
    public static Optional<Device> planAnyGpu() {
        return all().stream()
                .flatMap(backend -> backend.plan(OptionalInt.empty(), OpenOptions.DEFAULT).stream())
                .findFirst();
    }

    private record Named(Backend backend, int index) {}

    private static Named find(String device) {
        Matcher name = DEVICE.matcher(device);
        if (!name.matches()) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED,
                    "'" + device + "' is no device; write a name such as cpu, reference or cuda:0");
        }
        Backend backend = all().stream()
                .filter(b -> b.name().equals(name.group(1)))
                .findFirst()
                .orElseThrow(() -> new DeviceException(
                        DeviceException.Kind.UNSUPPORTED,
                        "there is no backend '" + name.group(1) + "'; there are " + names()));
        Optional<String> reason = backend.unavailable();
        if (reason.isPresent()) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED, backend.name() + " has no device here: " + reason.get());
        }
        int index = name.group(2) == null ? 0 : Integer.parseInt(name.group(2));
        int count = backend.devices().size();
        if (index >= count) {
            throw new DeviceException(
                    DeviceException.Kind.UNSUPPORTED,
                    "there is no " + device + ": " + backend.name() + " has " + count
                            + (count == 1 ? " device" : " devices") + ", numbered from 0");
        }
        return new Named(backend, index);
    }

    /** Opens the device that a user named, in the usual way. */
    public static Device open(String device) {
        return open(device, OpenOptions.DEFAULT);
    }

    /** The name of the best device present. */
    public static String best() {
        for (Backend backend : all()) {
            OptionalInt index = PREFERENCE.contains(backend.name()) ? backend.preferred() : OptionalInt.empty();
            if (index.isPresent()) {
                return backend.name() + ":" + index.getAsInt();
            }
        }
        return "reference";
    }

    private static String names() {
        return String.join(", ", all().stream().map(Backend::name).toList());
    }
}
