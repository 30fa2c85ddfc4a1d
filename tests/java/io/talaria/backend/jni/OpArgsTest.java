package io.talaria.backend.jni;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The structs that Java lays out by hand have the fields and sizes that the C headers give them. */
class OpArgsTest {
    private static final Path ARGS = Path.of("kernels", "common", "args.h");
    private static final Path ABI = Path.of("native", "include", "talaria.h");
    private static final Path SOURCES = Path.of("java", "io", "talaria", "backend", "jni");

    private static Map<String, OpArgs> ops() {
        Map<String, OpArgs> ops = new LinkedHashMap<>();
        ops.put("embed", OpArgs.embed(1, 2));
        ops.put("attention_input", OpArgs.attentionInput(1, 2, 3, 4, 5, 6, 7, 8, 9, new OpArgs.Rope(10, 11, 12, 13)));
        ops.put("attention", OpArgs.attention(1, 2, 3, 4, 5, 6, 7));
        ops.put("attention_output", OpArgs.attentionOutput(1, 2, 3));
        ops.put("route", OpArgs.route(1, 2, 3, 4, 5, 6));
        ops.put("experts", OpArgs.experts(1, 2, 3, 4, 5, 6, 7));
        ops.put("add_slots", OpArgs.addSlots(1, 2));
        ops.put("top_logits", OpArgs.topLogits(1, 2, 3, 4, 5, 6, 7));
        ops.put("copy", OpArgs.copy(1, 2, 3, 4, 5));
        ops.put("zero", OpArgs.zero(1));
        ops.put("event", OpArgs.event(Native.TALARIA_OP_SIGNAL, 1));
        return ops;
    }

    @Test
    void everyStructHasTheHeadersFields() throws IOException {
        CHeader header = CHeader.read(ARGS);
        ops().forEach((name, args) -> {
            List<String> expected = header.fields("talaria_" + name + "_args").stream()
                    .map(CHeader.Field::declaration)
                    .toList();
            assertEquals(expected, args.fields(), name);
            assertEquals(header.bytes("talaria_" + name + "_args"), args.bytes().remaining(), name);
            assertEquals(
                    args.bytes().remaining(),
                    args.bytes().order(ByteOrder.LITTLE_ENDIAN).getInt(0),
                    name);
        });
    }

    @Test
    void everyArgsStructOfTheHeaderIsTested() throws IOException {
        Set<String> structs = new TreeSet<>(CHeader.read(ARGS).structs().keySet());
        structs.removeIf(name -> !name.endsWith("_args"));
        Set<String> tested = new TreeSet<>();
        ops().keySet().forEach(name -> tested.add("talaria_" + name + "_args"));
        assertEquals(structs, tested);
    }

    /** The values are numbered in the order of the parameters, which is that of the fields, pads aside. */
    @Test
    void everyValueLiesInItsField() throws IOException {
        CHeader header = CHeader.read(ARGS);
        ops().forEach((name, args) -> {
            ByteBuffer bytes = args.bytes().order(ByteOrder.LITTLE_ENDIAN);
            int expected = 1;
            for (CHeader.Field field : header.fields("talaria_" + name + "_args")) {
                if (!Set.of("size", "reserved", "pad").contains(field.name())) {
                    assertEquals(expected++, value(bytes, field), name + "." + field.name());
                }
            }
        });
    }

    private static double value(ByteBuffer bytes, CHeader.Field field) {
        return switch (field.type()) {
            case "float" -> bytes.getFloat(field.offset());
            case "int32_t", "uint32_t" -> bytes.getInt(field.offset());
            default -> bytes.getLong(field.offset());
        };
    }

    @Test
    void opNumbersAreTheHeaders() throws IOException {
        String header = Files.readString(ABI);
        Map<String, OpArgs> ops = ops();
        ops.remove("event");
        ops.forEach((name, args) -> assertEquals(number(header, "TALARIA_OP_" + name.toUpperCase() + " ="), args.op()));
        assertEquals(number(header, "TALARIA_OP_SIGNAL ="), Native.TALARIA_OP_SIGNAL);
        assertEquals(number(header, "TALARIA_OP_WAIT ="), Native.TALARIA_OP_WAIT);
    }

    @Test
    void sizesInTheSourceAreTheHeaders() throws IOException {
        CHeader header = CHeader.read(ABI);
        String backend = Files.readString(SOURCES.resolve("NativeBackend.java"));
        String device = Files.readString(SOURCES.resolve("NativeDevice.java"));
        String status = Files.readString(SOURCES.resolve("NativeStatus.java"));

        assertEquals(header.bytes("talaria_device_info"), number(backend, " INFO_BYTES ="));
        assertEquals(header.field("talaria_device_info", "name").offset(), number(backend, " INFO_NAME ="));
        assertEquals(header.bytes("talaria_device_options"), number(backend, " OPTIONS_BYTES ="));
        assertEquals(header.bytes("talaria_tensor_desc"), number(device, " DESC_BYTES ="));
        CHeader.Field label = header.field("talaria_tensor_desc", "label");
        assertEquals(label.offset(), number(device, " DESC_LABEL ="));
        assertEquals(label.bytes() - 1, number(device, " LABEL_BYTES ="));
        assertEquals(header.bytes("talaria_step_options"), number(device, " STEP_OPTIONS_BYTES ="));
        assertEquals(header.bytes("talaria_status"), number(status, " BYTES ="));
        assertEquals(header.field("talaria_status", "text").offset(), number(status, " TEXT ="));
    }

    /** The options of a step hold a batch shape, which the other header declares. */
    @Test
    void stepOptionsHoldABatchShape() throws IOException {
        assertEquals(
                CHeader.read(ARGS).bytes("talaria_batch_shape"),
                CHeader.read(ABI).field("talaria_step_options", "batch").bytes());
    }

    private static int number(String text, String before) {
        Matcher matcher = Pattern.compile(Pattern.quote(before) + "\\s*(\\d+)").matcher(text);
        if (!matcher.find()) {
            throw new AssertionError("there is no '" + before + "'");
        }
        return Integer.parseInt(matcher.group(1));
    }
}
