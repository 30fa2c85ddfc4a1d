package io.talaria.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Typed access to metadata: every accessor against a key of every type. */
class GgufMetadataTest {
    private interface Accessor {
        Object get(GgufMetadata metadata, String key) throws GgufException;
    }

    @TempDir
    Path folder;

    @TestFactory
    Stream<DynamicTest> accessorsAcceptTheirTypeAlone() throws IOException {
        GgufMetadata metadata = everyType();
        Map<Accessor, Set<String>> accessors = new LinkedHashMap<>();
        accessors.put(GgufMetadata::string, Set.of("string"));
        accessors.put(GgufMetadata::uint32, Set.of("uint32"));
        accessors.put(GgufMetadata::int32, Set.of("int32"));
        accessors.put(GgufMetadata::uint64, Set.of("uint64"));
        accessors.put(GgufMetadata::float32, Set.of("float32"));
        accessors.put(GgufMetadata::bool, Set.of("bool"));
        accessors.put(GgufMetadata::stringArray, Set.of("strings"));
        accessors.put(GgufMetadata::float32Array, Set.of("float32s"));
        accessors.put(GgufMetadata::int32Array, Set.of("int32s", "uint32s"));
        return accessors.entrySet().stream()
                .flatMap(accessor -> metadata.keys().stream()
                        .map(key -> DynamicTest.dynamicTest(
                                accessor.getValue() + " on " + key,
                                () -> check(
                                        metadata,
                                        accessor.getKey(),
                                        key,
                                        accessor.getValue().contains(key)))));
    }

    @Test
    void absentKeysAreEmpty() throws IOException {
        GgufMetadata metadata = everyType();
        assertFalse(metadata.has("absent"));
        assertTrue(metadata.string("absent").isEmpty());
        assertTrue(metadata.uint32("absent").isEmpty());
        assertTrue(metadata.int32("absent").isEmpty());
        assertTrue(metadata.uint64("absent").isEmpty());
        assertTrue(metadata.float32("absent").isEmpty());
        assertTrue(metadata.bool("absent").isEmpty());
        assertTrue(metadata.stringArray("absent").isEmpty());
        assertTrue(metadata.float32Array("absent").isEmpty());
        assertTrue(metadata.int32Array("absent").isEmpty());
        assertThrows(NoSuchElementException.class, () -> metadata.value("absent"));
        assertThrows(NoSuchElementException.class, () -> metadata.type("absent"));
        assertThrows(NoSuchElementException.class, () -> metadata.elementType("absent"));
        GgufException missing = metadata.missing("llama.block_count");
        assertEquals(GgufFault.KEY_MISSING, missing.fault());
        assertTrue(missing.getMessage().contains("every.gguf: key 'llama.block_count' is missing"));
        GgufException invalid = metadata.invalid("llama.block_count", "0 layers are too few");
        assertEquals(GgufFault.KEY_VALUE, invalid.fault());
        assertTrue(invalid.getMessage().contains("'llama.block_count': 0 layers are too few"));
    }

    @Test
    void valuesOfEveryType() throws IOException {
        GgufMetadata metadata = everyType();
        assertEquals(255L, metadata.value("uint8"));
        assertEquals(-128L, metadata.value("int8"));
        assertEquals(65_535L, metadata.value("uint16"));
        assertEquals(-32_768L, metadata.value("int16"));
        assertEquals(4_294_967_295L, metadata.uint32("uint32").orElseThrow());
        assertEquals(-2_147_483_648L, metadata.int32("int32").orElseThrow());
        assertEquals(1L << 62, metadata.uint64("uint64").orElseThrow());
        assertEquals(Long.MIN_VALUE, metadata.value("int64"));
        assertEquals(1.5f, metadata.float32("float32").orElseThrow());
        assertEquals(Math.PI, metadata.value("float64"));
        assertEquals(true, metadata.bool("bool").orElseThrow());
        assertEquals("gr\u00fc\u00df \ud83d\ude00", metadata.string("string").orElseThrow());
        assertEquals(
                List.of("", "b", "\u2581c"), metadata.stringArray("strings").orElseThrow());
        assertArrayEquals(
                new float[] {-0f, Float.NaN}, metadata.float32Array("float32s").orElseThrow());
        assertArrayEquals(
                new int[] {-1, Integer.MAX_VALUE}, metadata.int32Array("int32s").orElseThrow());
        assertArrayEquals(
                new int[] {0, Integer.MAX_VALUE}, metadata.int32Array("uint32s").orElseThrow());
        BigInteger largest = BigInteger.TWO.pow(64).subtract(BigInteger.ONE);
        assertEquals(List.of(1L, largest), metadata.value("uint64s"));
        assertEquals(List.of(true, false), metadata.value("bools"));
        assertEquals(List.of(-1L, 127L), metadata.value("int8s"));
        assertEquals(List.of(), metadata.value("float64s"));
        assertThrows(
                UnsupportedOperationException.class,
                () -> metadata.stringArray("strings").orElseThrow().add("d"));
        assertThrows(UnsupportedOperationException.class, () -> metadata.keys().clear());
    }

    @Test
    void numbersThatDoNotFitAreRefused() throws IOException {
        GgufMetadata metadata = write(new GgufWriter()
                .putInteger("large", GgufValueType.UINT64, -1)
                .putArray("larges", GgufValueType.UINT32, List.of(1, 1L << 31)));
        assertTrue(assertThrows(GgufException.class, () -> metadata.uint64("large"))
                .getMessage()
                .contains("18446744073709551615 exceeds"));
        GgufException refusal = assertThrows(GgufException.class, () -> metadata.int32Array("larges"));
        assertEquals(GgufFault.KEY_VALUE, refusal.fault());
        assertTrue(refusal.getMessage().contains("element 1, 2147483648,"), refusal.getMessage());
    }

    private static void check(GgufMetadata metadata, Accessor accessor, String key, boolean fits) throws GgufException {
        if (fits) {
            accessor.get(metadata, key);
            return;
        }
        GgufException refusal = assertThrows(GgufException.class, () -> accessor.get(metadata, key));
        assertEquals(GgufFault.KEY_TYPE, refusal.fault());
        assertTrue(refusal.getMessage().contains("key '" + key + "' has the type "), refusal.getMessage());
    }

    private GgufMetadata everyType() throws IOException {
        return write(new GgufWriter()
                .putInteger("uint8", GgufValueType.UINT8, 255)
                .putInteger("int8", GgufValueType.INT8, -128)
                .putInteger("uint16", GgufValueType.UINT16, 65_535)
                .putInteger("int16", GgufValueType.INT16, -32_768)
                .putUint32("uint32", (1L << 32) - 1)
                .putInteger("int32", GgufValueType.INT32, Integer.MIN_VALUE)
                .putInteger("uint64", GgufValueType.UINT64, 1L << 62)
                .putInteger("int64", GgufValueType.INT64, Long.MIN_VALUE)
                .putFloat32("float32", 1.5f)
                .putFloat64("float64", Math.PI)
                .putBool("bool", true)
                .putString("string", "gr\u00fc\u00df \ud83d\ude00")
                .putStringArray("strings", List.of("", "b", "\u2581c"))
                .putFloat32Array("float32s", new float[] {-0f, Float.NaN})
                .putInt32Array("int32s", new int[] {-1, Integer.MAX_VALUE})
                .putArray("uint32s", GgufValueType.UINT32, List.of(0, Integer.MAX_VALUE))
                .putArray("uint8s", GgufValueType.UINT8, List.of(0, 255))
                .putArray("int8s", GgufValueType.INT8, List.of(-1, 127))
                .putArray("uint16s", GgufValueType.UINT16, List.of(65_535))
                .putArray("int16s", GgufValueType.INT16, List.of(-32_768))
                .putArray("uint64s", GgufValueType.UINT64, List.of(1, new BigInteger("18446744073709551615")))
                .putArray("int64s", GgufValueType.INT64, List.of(Long.MIN_VALUE))
                .putArray("float64s", GgufValueType.FLOAT64, List.of())
                .putArray("bools", GgufValueType.BOOL, List.of(true, false)));
    }

    private GgufMetadata write(GgufWriter writer) throws IOException {
        Path path = folder.resolve("every.gguf");
        writer.write(path);
        try (GgufFile file = GgufFile.open(path)) {
            return file.metadata();
        }
    }
}
