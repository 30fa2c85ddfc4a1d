package io.talaria.cli;

import io.talaria.TalariaBuilder;
import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.backend.OpenOptions;
import io.talaria.quant.TensorType;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Option;

/** The options of every command that computes. */
final class DeviceOptions {
    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            description = "Where to compute: cpu, reference, cuda:0 and so on, or, to split a model, a list such as"
                    + " cuda:0,cuda:1,cpu. Default: the best one here, with others if it has no room.")
    private String device;

    @Option(
            names = "--activations",
            paramLabel = "MODE",
            description = "half (at least float16), int8 (rounded where they meet quantised weights), or, on the"
                    + " reference alone, exact. Default: int8, and exact on the reference.")
    private String activations;

    @Option(
            names = "--activation-block",
            paramLabel = "N",
            description = "Values per int8 block: 32 or, on the reference, 256. Default: 32.")
    private Integer activationBlock;

    @Option(
            names = "--kv",
            paramLabel = "TYPE",
            description = "Type of the KV cache: f16 or q8_0. Default: f16, and exact on the reference.")
    private String kv;

    @Option(names = "--threads", paramLabel = "N", description = "Threads of the cpu device. Default: one per core.")
    private Integer threads;

    /**
     * What a command computes with.
     *
     * @param found whether nobody named devices, and the best one here was taken
     */
    record Choice(List<String> devices, boolean found, Activations activations, TensorType kvType, int threads) {
        /** The device of a command that takes one alone. */
        String device() {
            if (devices.size() > 1) {
                throw new BadArgumentException(
                        "--device " + String.join(",", devices) + ": this command takes one device at a time");
            }
            return devices.getFirst();
        }

        /** The same on other devices. */
        Choice on(List<String> names) {
            return new Choice(names, false, activations, kvType, threads);
        }

        Device open() {
            return Backends.open(device(), opening());
        }

        OpenOptions opening() {
            return new OpenOptions(threads);
        }

        boolean reference() {
            return isReference(devices.getFirst());
        }

        /** Has a model computed this way; where nobody named devices, the cpu may take experts. */
        TalariaBuilder configure(TalariaBuilder builder) {
            return builder.device(found ? new String[0] : devices.toArray(String[]::new))
                    .threads(threads)
                    .activations(activations)
                    .kvType(kvType);
        }
    }

    /** A device with what is usual there. */
    static Choice plain(String device) {
        DeviceOptions options = new DeviceOptions();
        options.device = device;
        return options.choose();
    }

    Choice choose() {
        return choose(List.of());
    }

    /** @param placed the devices of a placement file; empty if there is none */
    Choice choose(List<String> placed) {
        List<String> named = device != null ? List.of(device.split(",", -1)) : placed;
        List<String> names = named.isEmpty() ? List.of(Backends.best()) : named;
        if (!placed.isEmpty() && !names.equals(placed)) {
            throw new BadArgumentException(
                    "--device " + device + ": the placement file is for " + String.join(",", placed));
        }
        String name = names.getFirst();
        boolean reference = isReference(name);
        if (threads != null && (threads < 1 || threads > 1024)) {
            throw new BadArgumentException("--threads " + threads + ": write 1 to 1024");
        }
        return new Choice(
                names, named.isEmpty(), activations(name, reference), kvType(reference), threads == null ? 0 : threads);
    }

    /** Whether a device was named, and not left to be found. */
    boolean named() {
        return device != null;
    }

    /** The options for a device that need not be here. */
    Choice chooseFor(String name) {
        return new Choice(List.of(name), false, activations(name, false), kvType(false), 0);
    }

    /** Whether a mode was named, and not left to the device. */
    boolean namesActivations() {
        return activations != null || activationBlock != null;
    }

    private static boolean isReference(String name) {
        return name.equals("reference") || name.startsWith("reference:");
    }

    private Activations activations(String name, boolean reference) {
        String mode = activations == null ? (reference ? "exact" : "int8") : activations.toLowerCase(Locale.ROOT);
        if (activationBlock != null && !mode.equals("int8")) {
            throw new BadArgumentException("--activation-block goes with --activations int8");
        }
        return switch (mode) {
            case "half" -> Activations.HALF;
            case "int8" -> int8(activationBlock == null ? 32 : activationBlock);
            case "exact" -> {
                if (!reference) {
                    throw new BadArgumentException(
                            "--activations exact is for the reference alone; " + name + " has half and int8");
                }
                yield Activations.EXACT;
            }
            default -> throw new BadArgumentException("--activations " + activations + ": write half, int8 or exact");
        };
    }

    private static Activations int8(int block) {
        return switch (block) {
            case 32 -> Activations.INT8;
            case 256 -> Activations.INT8_256;
            default -> throw new BadArgumentException("--activation-block " + block + ": write 32 or 256");
        };
    }

    private TensorType kvType(boolean reference) {
        if (kv == null) {
            return reference ? TensorType.F32 : TensorType.F16;
        }
        return switch (kv.toLowerCase(Locale.ROOT)) {
            case "f16" -> TensorType.F16;
            case "q8_0" -> TensorType.Q8_0;
            default -> throw new BadArgumentException("--kv " + kv + ": write f16 or q8_0");
        };
    }
}
