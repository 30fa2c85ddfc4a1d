package io.talaria.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

class MemoryModulesTest {
    private static final OptionalDouble UNKNOWN = OptionalDouble.empty();

    private final ByteArrayOutputStream table = new ByteArrayOutputStream();

    private void structure(int type, byte[] fields, String... strings) {
        table.writeBytes(new byte[] {(byte) type, (byte) (4 + fields.length), 0, 0});
        table.writeBytes(fields);
        for (String string : strings) {
            table.writeBytes((string + '\0').getBytes(StandardCharsets.ISO_8859_1));
        }
        table.writeBytes(new byte[strings.length == 0 ? 2 : 1]);
    }

    /** A module of 64 bits; size 0 is an empty slot. */
    private MemoryModulesTest module(int size, int megatransfers, String slot, String bank) {
        ByteBuffer fields = ByteBuffer.allocate(0x24).order(ByteOrder.LITTLE_ENDIAN); // offsets count from the header
        fields.putShort(0x08 - 4, (short) 72).putShort(0x0A - 4, (short) 64).putShort(0x0C - 4, (short) size);
        fields.put(0x10 - 4, (byte) 1).put(0x11 - 4, (byte) 2);
        fields.putShort(0x15 - 4, (short) 6400).putShort(0x20 - 4, (short) megatransfers);
        structure(17, fields.array(), slot, bank);
        return this;
    }

    private OptionalDouble bandwidth() {
        return MemoryModules.bandwidth(table.toByteArray());
    }

    @Test
    void channelsAddUpAndModulesOnOneDoNot() {
        structure(1, new byte[20], "a maker");
        structure(16, new byte[19]);
        module(32768, 3200, "DIMM 0", "P0 CHANNEL A").module(32768, 3200, "DIMM 1", "P0 CHANNEL A");
        module(32768, 3200, "DIMM 0", "P0 CHANNEL B").module(0, 0, "DIMM 0", "P0 CHANNEL C");
        module(32768, 3200, "DIMM 0", "P1 CHANNEL A");
        structure(127, new byte[0]);
        module(32768, 3200, "DIMM 0", "P1 CHANNEL B"); // behind the end
        assertEquals(3 * 25.6, bandwidth().orElseThrow(), 1e-9);
    }

    @Test
    void theSlotMayNameTheChannel() {
        module(8192, 4800, "Controller0-ChannelA-DIMM0", "BANK 0");
        module(8192, 4800, "Controller1-ChannelA-DIMM0", "BANK 0");
        assertEquals(2 * 38.4, bandwidth().orElseThrow(), 1e-9);
        table.reset();
        module(8192, 2400, "CPU0_DIMM_A1", "").module(8192, 2400, "CPU0_DIMM_A2", "");
        assertEquals(19.2, bandwidth().orElseThrow(), 1e-9);
    }

    @Test
    void whatIsNotSaidIsNotGuessed() {
        assertEquals(UNKNOWN, bandwidth());
        module(8192, 3200, "DIMM 0", "Not Specified");
        assertEquals(25.6, bandwidth().orElseThrow(), 1e-9); // one module, one channel
        module(8192, 3200, "DIMM 1", "Not Specified");
        assertEquals(UNKNOWN, bandwidth());
        table.reset();
        assertEquals(UNKNOWN, module(8192, 0, "DIMM 0", "P0 CHANNEL A").bandwidth());
        table.reset();
        assertEquals(UNKNOWN, module(8192, 0xFFFF, "DIMM 0", "P0 CHANNEL A").bandwidth());
    }

    @Test
    void damagedTablesEndEarly() {
        module(8192, 3200, "DIMM 0", "P0 CHANNEL A");
        byte[] whole = table.toByteArray();
        for (int length = 0; length < 40; length++) {
            assertEquals(UNKNOWN, MemoryModules.bandwidth(Arrays.copyOf(whole, Math.min(length, 39))));
        }
        assertEquals(UNKNOWN, MemoryModules.bandwidth(new byte[100]));
    }
}
