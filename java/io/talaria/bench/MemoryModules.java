package io.talaria.bench;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The memory modules that the firmware lists: structures of type 17 of the DMTF System Management BIOS specification
 * (DSP0134). Only root may read them, and virtual machines often have none or invented ones.
 */
public final class MemoryModules {
    private static final Path TABLE = Path.of("/sys/firmware/dmi/tables/DMI");
    private static final int MEMORY_DEVICE = 17;
    private static final int END_OF_TABLE = 127;
    private static final int HEADER = 4;
    /** A structure at least reaches to its configured speed, as it does since version 2.7 of 2010. */
    private static final int LEAST_LENGTH = 0x22;

    private static final int UNKNOWN = 0xFFFF;
    /** "P0 CHANNEL A", "ChannelA-DIMM0", "CPU0_DIMM_A1": everything up to the channel's letter or number names it. */
    private static final Pattern CHANNEL =
            Pattern.compile(".*?(?:CHANNEL|CH)[ _-]?[A-Z0-9]|.*?DIMM[ _-]?[A-Z](?=\\d)", Pattern.CASE_INSENSITIVE);

    private record Module(String channel, double gigabytesPerSecond) {}

    private MemoryModules() {}

    /** Bytes per second, in 10^9, that the memory was built for; empty if the firmware does not say enough. */
    public static OptionalDouble bandwidth() {
        try {
            return bandwidth(Files.readAllBytes(TABLE));
        } catch (IOException e) {
            return OptionalDouble.empty();
        }
    }

    /** The sum over all channels of transfers per second times width; of several modules on a channel one counts. */
    static OptionalDouble bandwidth(byte[] table) {
        List<Module> modules = modules(ByteBuffer.wrap(table).order(ByteOrder.LITTLE_ENDIAN));
        if (modules.size() == 1) {
            return known(modules.getFirst().gigabytesPerSecond());
        }
        Map<String, Double> channels = new HashMap<>();
        for (Module module : modules) {
            if (module.channel() == null || module.gigabytesPerSecond() == 0) {
                return OptionalDouble.empty();
            }
            channels.merge(module.channel(), module.gigabytesPerSecond(), Math::min);
        }
        return known(channels.values().stream().mapToDouble(Double::doubleValue).sum());
    }

    private static OptionalDouble known(double sum) {
        return sum == 0 ? OptionalDouble.empty() : OptionalDouble.of(sum);
    }

    /** Each structure is its type, its length, two bytes of handle, its fields, and strings up to an empty one. */
    private static List<Module> modules(ByteBuffer table) {
        List<Module> modules = new ArrayList<>();
        int at = 0;
        while (at + HEADER <= table.limit()) {
            int type = table.get(at) & 0xFF;
            int length = table.get(at + 1) & 0xFF;
            if (type == END_OF_TABLE || length < HEADER || at + length > table.limit()) {
                break;
            }
            List<String> strings = new ArrayList<>();
            int next = strings(table, at + length, strings);
            boolean populated = length >= LEAST_LENGTH && table.getShort(at + 0x0C) != 0;
            if (type == MEMORY_DEVICE && populated) {
                modules.add(module(table, at, strings));
            }
            at = next;
        }
        return modules;
    }

    private static Module module(ByteBuffer table, int at, List<String> strings) {
        int width = table.getShort(at + 0x0A) & 0xFFFF;
        int megatransfers = table.getShort(at + 0x20) & 0xFFFF; // as configured, which may be less than it could do
        boolean known = width > 0 && width != UNKNOWN && megatransfers > 0 && megatransfers != UNKNOWN;
        double speed = known ? megatransfers * 1e6 * width / 8 / 1e9 : 0;
        String bank = string(strings, table.get(at + 0x11));
        String slot = string(strings, table.get(at + 0x10));
        String channel = channel(bank);
        return new Module(channel == null ? channel(slot) : channel, speed);
    }

    private static String channel(String locator) {
        Matcher matcher = CHANNEL.matcher(locator);
        return matcher.lookingAt() ? matcher.group() : null;
    }

    private static String string(List<String> strings, byte number) {
        int index = (number & 0xFF) - 1;
        return index >= 0 && index < strings.size() ? strings.get(index) : "";
    }

    /** Reads the strings from {@code at} on; returns where the next structure begins. */
    private static int strings(ByteBuffer table, int at, List<String> strings) {
        int begin = at;
        while (begin < table.limit()) {
            int end = begin;
            while (end < table.limit() && table.get(end) != 0) {
                end++;
            }
            if (end == begin) {
                return strings.isEmpty() ? begin + 2 : begin + 1; // without strings there are two zeros
            }
            strings.add(new String(table.array(), begin, end - begin, StandardCharsets.ISO_8859_1));
            begin = end + 1;
        }
        return begin;
    }
}
