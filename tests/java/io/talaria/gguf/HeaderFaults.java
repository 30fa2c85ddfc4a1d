package io.talaria.gguf;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.nio.ByteOrder;
import java.util.List;

/** Malformed magic, version and counts. */
final class HeaderFaults {
    private HeaderFaults() {}

    static List<Malformed> all() {
        return List.of(
                new Malformed("file-empty", GgufFault.FILE_EMPTY, "no bytes", b -> b.keep(0)),
                new Malformed("magic-cut", GgufFault.HEADER_TRUNCATED, "within the magic", b -> b.keep(3)),
                magic("magic-ggml", "GGML", "first four bytes"),
                magic("magic-zero", "\0\0\0\0", "first four bytes"),
                magic("magic-lower-case", "gguf", "first four bytes"),
                magic("magic-reversed", "FUGG", "first four bytes"),
                magic("magic-old-ggjt", "tjgg", "older GGML formats"),
                new Malformed(
                        "magic-lfs-pointer",
                        GgufFault.BAD_MAGIC,
                        "git lfs pull",
                        b -> b.raw("version https://git-lfs.github.com/spec/v1\noid sha256:0\n".getBytes(US_ASCII))),
                new Malformed("magic-one-byte", GgufFault.BAD_MAGIC, "first four", b -> b.raw(new byte[] {'{'})),
                version("version-0", 0, GgufFault.VERSION_UNSUPPORTED, "version 0"),
                version("version-1", 1, GgufFault.VERSION_1, "version 1, which is no longer read"),
                version("version-4", 4, GgufFault.VERSION_UNSUPPORTED, "version 4"),
                version("version-largest", -1, GgufFault.VERSION_UNSUPPORTED, "version 4294967295"),
                version("version-2-swapped", 0x0200_0000, GgufFault.BIG_ENDIAN, "big-endian"),
                new Malformed(
                        "big-endian-file", GgufFault.BIG_ENDIAN, "big-endian", b -> b.order = ByteOrder.BIG_ENDIAN),
                new Malformed("cut-in-version", GgufFault.HEADER_TRUNCATED, "the version needs 4", b -> b.keep(6)),
                new Malformed("cut-in-tensors", GgufFault.HEADER_TRUNCATED, "number of tensors", b -> b.keep(12)),
                new Malformed("cut-in-keys", GgufFault.HEADER_TRUNCATED, "number of keys", b -> b.keep(23)),
                new Malformed("cut-after-counts", GgufFault.HEADER_TRUNCATED, "key 1 of 7", b -> b.keep(24)),
                tensors("tensors-2^64-1", -1, GgufFault.TOO_MANY_TENSORS, "18446744073709551615 tensors"),
                tensors("tensors-2^63-1", Long.MAX_VALUE, GgufFault.TOO_MANY_TENSORS, "9223372036854775807 tensors"),
                tensors("tensors-size-wrap", (1L << 61) + 1, GgufFault.TOO_MANY_TENSORS, "limit of 10000"),
                tensors("tensors-10^9", 1_000_000_000, GgufFault.TOO_MANY_TENSORS, "limit of 10000"),
                tensors("tensors-100000", 100_000, GgufFault.TOO_MANY_TENSORS, "limit of 10000"),
                tensors("tensors-10001", 10_001, GgufFault.TOO_MANY_TENSORS, "10001 tensors"),
                tensors("tensors-one-more", 4, GgufFault.TENSOR_NAME_LENGTH, "tensor 4 of 4"),
                keys("keys-2^64-1", -1, GgufFault.TOO_MANY_KEYS, "18446744073709551615 keys"),
                keys("keys-2^63-1", Long.MAX_VALUE, GgufFault.TOO_MANY_KEYS, "9223372036854775807 keys"),
                keys("keys-size-wrap", (1L << 60) + 1, GgufFault.TOO_MANY_KEYS, "limit of 10000"),
                keys("keys-10^6", 1_000_000, GgufFault.TOO_MANY_KEYS, "limit of 10000"),
                keys("keys-10001", 10_001, GgufFault.TOO_MANY_KEYS, "10001 keys"),
                keys("keys-10000-in-a-small-file", 10_000, GgufFault.KEY_LENGTH, "of 10000"),
                keys("keys-one-less", 6, GgufFault.TENSOR_DIMENSIONS, "'test.large'"),
                keys("keys-one-more", 8, GgufFault.TENSOR_NAME_LENGTH, "tensor 1 of 3"));
    }

    private static Malformed magic(String id, String magic, String fragment) {
        return new Malformed(id, GgufFault.BAD_MAGIC, fragment, b -> b.magic = magic.getBytes(US_ASCII));
    }

    // The twins have version 2, so that both versions are seen to be accepted.
    private static Malformed version(String id, int version, GgufFault fault, String fragment) {
        return new Malformed(id, fault, fragment, b -> b.version = version, b -> b.version = 2);
    }

    private static Malformed tensors(String id, long count, GgufFault fault, String fragment) {
        return new Malformed(id, fault, fragment, b -> b.tensorCount = count);
    }

    private static Malformed keys(String id, long count, GgufFault fault, String fragment) {
        return new Malformed(id, fault, fragment, b -> b.keyCount = count);
    }
}
