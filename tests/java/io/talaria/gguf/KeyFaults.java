package io.talaria.gguf;

import static io.talaria.gguf.GgufBuilder.ARRAY;
import static io.talaria.gguf.GgufBuilder.BOOL;
import static io.talaria.gguf.GgufBuilder.F32;
import static io.talaria.gguf.GgufBuilder.I32;
import static io.talaria.gguf.GgufBuilder.STRING;
import static io.talaria.gguf.GgufBuilder.U32;
import static io.talaria.gguf.GgufBuilder.U64;
import static io.talaria.gguf.GgufBuilder.U8;
import static io.talaria.gguf.GgufBuilder.f32;
import static io.talaria.gguf.GgufBuilder.join;
import static io.talaria.gguf.GgufBuilder.repeat;
import static io.talaria.gguf.GgufBuilder.text;
import static io.talaria.gguf.GgufBuilder.u32;
import static io.talaria.gguf.GgufBuilder.u64;
import static io.talaria.gguf.GgufBuilder.u8;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** Malformed keys and values. */
final class KeyFaults {
    private static final int LIMIT = 16 << 20;

    private KeyFaults() {}

    static List<Malformed> all() {
        List<Malformed> all = new ArrayList<>();
        addNames(all);
        addScalars(all);
        addArrays(all);
        addStringArrays(all);
        addAlignments(all);
        addSplitKeys(all);
        return all;
    }

    private static void addNames(List<Malformed> all) {
        all.add(nameLength("key-length-0", 0, GgufFault.KEY_LENGTH, "0 bytes"));
        all.add(nameLength("key-length-2^64-1", -1, GgufFault.KEY_LENGTH, "18446744073709551615 bytes"));
        all.add(nameLength("key-length-2^63-1", Long.MAX_VALUE, GgufFault.KEY_LENGTH, "9223372036854775807 bytes"));
        all.add(nameLength("key-length-1-GiB", 1 << 30, GgufFault.KEY_LENGTH, "1073741824 bytes"));
        all.add(nameLength("key-length-beyond-file", 60_000, GgufFault.HEADER_TRUNCATED, "needs 60000 bytes"));
        all.add(new Malformed(
                "key-length-65536",
                GgufFault.KEY_LENGTH,
                "65536 bytes",
                b -> b.key("k".repeat(65_536), U8, u8(0)),
                b -> b.key("k".repeat(65_535), U8, u8(0))));
        all.add(keyBytes("key-not-utf8", 0xFF, 'k'));
        all.add(keyBytes("key-utf8-overlong", 0xC0, 0xAF));
        all.add(keyBytes("key-utf8-surrogate", 0xED, 0xA0, 0x80));
        all.add(keyBytes("key-utf8-cut", 'k', 0xE2, 0x82));
        all.add(new Malformed(
                "key-twice",
                GgufFault.KEY_DUPLICATE,
                "'test.count'",
                b -> b.key("test.count", U32, u32(7)),
                b -> b.key("test.count2", U32, u32(7))));
        all.add(new Malformed(
                "key-twice-with-another-type",
                GgufFault.KEY_DUPLICATE,
                "'general.architecture'",
                b -> b.key("general.architecture", U32, u32(7)),
                b -> b.key("general.architectures", U32, u32(7))));
        all.add(new Malformed(
                "key-with-control-characters-twice",
                GgufFault.KEY_DUPLICATE,
                "'\\u{1b}[2J\\u{202e}'",
                b -> b.key("\u001b[2J\u202e", U8, u8(0)).key("\u001b[2J\u202e", U8, u8(0)),
                b -> b.key("\u001b[2J\u202e", U8, u8(0))));
    }

    private static void addScalars(List<Malformed> all) {
        for (long type : new long[] {13, 255, 1L << 31, (1L << 32) - 1}) {
            all.add(value(
                    "value-type-" + type,
                    GgufFault.VALUE_TYPE_UNKNOWN,
                    "type " + type,
                    key -> key.set((int) type, u32(0)),
                    key -> key.set(U32, u32(0))));
        }
        for (int bool : new int[] {2, 128, 255}) {
            all.add(value(
                    "bool-" + bool,
                    GgufFault.BOOL_INVALID,
                    "value " + bool,
                    key -> key.set(BOOL, u8(bool)),
                    key -> key.set(BOOL, u8(0))));
        }
        all.add(string("string-length-2^64-1", GgufFault.STRING_TOO_LONG, "18446744073709551615", text(-1)));
        all.add(string("string-length-2^63-1", GgufFault.STRING_TOO_LONG, "limit", text(Long.MAX_VALUE)));
        all.add(string("string-length-1-GiB", GgufFault.STRING_TOO_LONG, "1073741824", text(1 << 30)));
        all.add(string("string-length-16-MiB+1", GgufFault.STRING_TOO_LONG, "16777217", text(LIMIT + 1)));
        all.add(string("string-length-16-MiB", GgufFault.HEADER_TRUNCATED, "needs 16777216", text(LIMIT)));
        all.add(string("string-length-beyond-file", GgufFault.HEADER_TRUNCATED, "the string needs", text(5000)));
        all.add(string("string-not-utf8", GgufFault.TEXT_NOT_UTF8, "UTF-8", text(2, (byte) 'a', (byte) 0x80)));
        all.add(string("string-utf8-cut", GgufFault.TEXT_NOT_UTF8, "UTF-8", text(2, (byte) 0xF0, (byte) 0x9F)));
        all.add(new Malformed(
                "cut-in-number", GgufFault.HEADER_TRUNCATED, "number needs 8 bytes", b -> b.keep(valueEnd() - 1)));
        all.add(new Malformed(
                "cut-in-value-type", GgufFault.HEADER_TRUNCATED, "the type needs", b -> b.keep(valueEnd() - 9)));
    }

    private static void addArrays(List<Malformed> all) {
        for (long type : new long[] {13, 255, (1L << 32) - 1}) {
            all.add(array(
                    "array-type-" + type,
                    GgufFault.VALUE_TYPE_UNKNOWN,
                    "elements has the type " + type,
                    join(u32(type), u64(1), u8(0))));
        }
        byte[] level = join(u32(ARRAY), u64(1));
        byte[] innermost = join(u32(U8), u64(1), u8(0));
        all.add(array("array-in-array", GgufFault.ARRAY_NESTED, "holds arrays", join(level, innermost)));
        all.add(array("array-3-deep", GgufFault.ARRAY_NESTED, "holds arrays", join(level, level, innermost)));
        all.add(array(
                "array-10000-deep", GgufFault.ARRAY_NESTED, "holds arrays", join(repeat(level, 10_000), innermost)));
        all.add(array("array-2^64-1", GgufFault.ARRAY_TOO_LONG, "18446744073709551615", join(u32(U8), u64(-1))));
        all.add(array("array-2^63-1", GgufFault.ARRAY_TOO_LONG, "limit", join(u32(U8), u64(Long.MAX_VALUE))));
        all.add(array("array-8-bytes-wrap", GgufFault.ARRAY_TOO_LONG, "limit", join(u32(U64), u64(1L << 61))));
        all.add(array("array-4-bytes-wrap", GgufFault.ARRAY_TOO_LONG, "limit", join(u32(F32), u64((1L << 62) + 1))));
        all.add(array("array-10^9", GgufFault.ARRAY_TOO_LONG, "1000000000", join(u32(I32), u64(1_000_000_000))));
        all.add(array("array-16-Mi+1", GgufFault.ARRAY_TOO_LONG, "16777217", join(u32(U8), u64(LIMIT + 1))));
        all.add(array("array-16-Mi", GgufFault.HEADER_TRUNCATED, "134217728", join(u32(U64), u64(LIMIT))));
        all.add(array("array-beyond-file", GgufFault.HEADER_TRUNCATED, "number needs", join(u32(F32), u64(2000))));
        all.add(array("array-bool-2", GgufFault.BOOL_INVALID, "value 2", join(u32(BOOL), u64(2), u8(1), u8(2))));
    }

    private static void addStringArrays(List<Malformed> all) {
        all.add(strings("strings-2^30-empty", GgufFault.ARRAY_TOO_LONG, "1073741824 elements", 1 << 30));
        all.add(strings("strings-16-Mi-in-a-small-file", GgufFault.HEADER_TRUNCATED, "16777216 strings", LIMIT));
        all.add(strings("strings-count-beyond-file", GgufFault.HEADER_TRUNCATED, "1000 strings", 1000));
        all.add(strings("strings-length-2^64-1", GgufFault.STRING_TOO_LONG, "limit", 2, text("a"), text(-1)));
        all.add(strings("strings-length-2^31", GgufFault.STRING_TOO_LONG, "2147483648", 2, text("a"), text(1L << 31)));
        all.add(strings("strings-length-16-MiB", GgufFault.HEADER_TRUNCATED, "16777216", 2, text("a"), text(LIMIT)));
        all.add(strings("strings-beyond-file", GgufFault.HEADER_TRUNCATED, "needs 4000", 2, text("a"), text(4000)));
        all.add(strings("strings-not-utf8", GgufFault.TEXT_NOT_UTF8, "string 1", 2, text("a"), text(1, (byte) 0xFE)));
        // The first string ends in the middle of a character that the second string's length would complete.
        all.add(strings("strings-utf8-cut", GgufFault.TEXT_NOT_UTF8, "string 0", 2, text(1, (byte) 0xC3), text("a")));
    }

    private static void addAlignments(List<Malformed> all) {
        for (long bytes : new long[] {0, 1, 3, 4, 13, 24, 65_535, 131_072, 1L << 31, (1L << 32) - 1}) {
            all.add(alignment("alignment-" + bytes, GgufFault.ALIGNMENT_INVALID, bytes + " is not", U32, u32(bytes)));
        }
        all.add(alignment("alignment-uint64", GgufFault.KEY_TYPE, "type uint64 and not uint32", U64, u64(32)));
        all.add(alignment("alignment-int32", GgufFault.KEY_TYPE, "type int32", I32, u32(32)));
        all.add(alignment("alignment-float", GgufFault.KEY_TYPE, "type float32", F32, f32(32)));
        all.add(alignment("alignment-bool", GgufFault.KEY_TYPE, "type bool", BOOL, u8(1)));
        all.add(alignment("alignment-string", GgufFault.KEY_TYPE, "type string", STRING, text("32")));
        byte[] array = join(u32(U32), u64(1), u32(32));
        all.add(alignment("alignment-array", GgufFault.KEY_TYPE, "type array of uint32", ARRAY, array));
    }

    private static void addSplitKeys(List<Malformed> all) {
        all.add(splitCount("split-count-3", GgufFault.SHARD_NAME, "one of 3 shards", U32, u32(3)));
        all.add(splitCount("split-count-2^63-1", GgufFault.SHARD_NAME, "shards", U64, u64(Long.MAX_VALUE)));
        all.add(splitCount("split-count-negative", GgufFault.KEY_VALUE, "-1 is not a count", I32, u32(-1)));
        all.add(splitCount("split-count-2^64-1", GgufFault.KEY_VALUE, "18446744073709551615", U64, u64(-1)));
        all.add(splitCount("split-count-string", GgufFault.KEY_TYPE, "type string", STRING, text("1")));
    }

    private static Malformed nameLength(String id, long length, GgufFault fault, String fragment) {
        return new Malformed(id, fault, fragment, b -> b.key("test.count").nameLength = length);
    }

    private static Malformed keyBytes(String id, int... bytes) {
        byte[] name = new byte[bytes.length];
        for (int i = 0; i < name.length; i++) {
            name[i] = (byte) bytes[i];
        }
        Consumer<GgufBuilder> broken = b -> b.key("test.count").name = name;
        return new Malformed(id, GgufFault.TEXT_NOT_UTF8, "key 2 of 7", broken);
    }

    private static Malformed value(
            String id,
            GgufFault fault,
            String fragment,
            Consumer<GgufBuilder.Key> broken,
            Consumer<GgufBuilder.Key> repaired) {
        return new Malformed(
                id,
                fault,
                fragment,
                b -> broken.accept(b.key("test.count")),
                b -> repaired.accept(b.key("test.count")));
    }

    private static Malformed string(String id, GgufFault fault, String fragment, byte[] payload) {
        return value(id, fault, fragment, key -> key.set(STRING, payload), key -> key.set(STRING, text("ab")));
    }

    private static Malformed array(String id, GgufFault fault, String fragment, byte[] payload) {
        byte[] valid = join(u32(BOOL), u64(2), u8(1), u8(0));
        return value(id, fault, fragment, key -> key.set(ARRAY, payload), key -> key.set(ARRAY, valid));
    }

    private static Malformed strings(String id, GgufFault fault, String fragment, long count, byte[]... elements) {
        byte[] valid = join(u32(STRING), u64(2), text("a"), text("b"));
        return value(
                id,
                fault,
                fragment,
                key -> key.set(ARRAY, u32(STRING), u64(count), join(elements)),
                key -> key.set(ARRAY, valid));
    }

    private static Malformed alignment(String id, GgufFault fault, String fragment, int type, byte[] payload) {
        return new Malformed(
                id,
                fault,
                fragment,
                b -> b.key("general.alignment", type, payload),
                b -> b.key("general.alignment", U32, u32(32)));
    }

    private static Malformed splitCount(String id, GgufFault fault, String fragment, int type, byte[] payload) {
        return new Malformed(
                id, fault, fragment, b -> b.key("split.count", type, payload), b -> b.key("split.count", U32, u32(1)));
    }

    // Where the value of the last key of the small file ends.
    private static int valueEnd() {
        GgufBuilder keysOnly = GgufBuilder.small();
        keysOnly.tensors.clear();
        keysOnly.alignment = 1;
        return keysOnly.header().length;
    }
}
