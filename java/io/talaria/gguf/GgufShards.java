package io.talaria.gguf;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The files of a split model. They are called NAME-00001-of-00003.gguf and so on, and carry the keys split.no (from 0),
 * split.count and split.tensors.count (of all shards together), as the tool gguf-split of the llama.cpp project writes
 * them.
 */
final class GgufShards {
    static final String NUMBER_KEY = "split.no";
    static final String COUNT_KEY = "split.count";
    static final String TENSORS_KEY = "split.tensors.count";

    private static final Pattern NAME = Pattern.compile("(.*)-(\\d{5})-of-(\\d{5})\\.gguf", Pattern.DOTALL);

    private GgufShards() {}

    /** The model's files in order: the path itself unless its name is that of a first shard. */
    static List<Path> siblings(Path path) throws GgufException {
        String file = Printable.path(path);
        Matcher matcher = NAME.matcher(
                path.getFileName() == null ? "" : path.getFileName().toString());
        if (!matcher.matches()) {
            return List.of(path);
        }
        int number = Integer.parseInt(matcher.group(2));
        int count = Integer.parseInt(matcher.group(3));
        if (number < 1 || number > count || count > GgufLimits.SHARDS) {
            throw GgufException.of(
                    GgufFault.SHARD_NAME,
                    file,
                    "the name says shard " + number + " of " + count + ", where at most " + GgufLimits.SHARDS
                            + " shards are read and the first has the number 1");
        }
        List<Path> paths = new ArrayList<>();
        for (int i = 1; i <= count; i++) {
            paths.add(path.resolveSibling(name(matcher.group(1), i, count)));
        }
        if (number != 1) {
            throw GgufException.of(
                    GgufFault.SHARD_NOT_FIRST,
                    file,
                    "this is shard " + number + " of " + count + " and the first is "
                            + Printable.path(paths.get(0).getFileName()));
        }
        for (Path shard : paths.subList(1, count)) {
            if (!Files.exists(shard)) {
                throw GgufException.of(
                        GgufFault.SHARD_MISSING, file, "the sibling " + Printable.path(shard) + " is missing");
            }
        }
        return paths;
    }

    /** The file name of shard {@code number}, from 1. */
    static String name(String prefix, int number, int count) {
        return String.format("%s-%05d-of-%05d.gguf", prefix, number, count);
    }

    /** Checks that the shards, in order, belong together, and that their tensors are distinct. */
    static void check(List<GgufHeader> headers) throws GgufException {
        long tensors =
                headers.stream().mapToLong(header -> header.tensors().size()).sum();
        if (tensors > GgufLimits.TENSORS) {
            throw GgufException.of(
                    GgufFault.TOO_MANY_TENSORS,
                    headers.get(0).file(),
                    "all shards together have " + tensors + " tensors, more than the limit of " + GgufLimits.TENSORS);
        }
        Set<String> names = new HashSet<>();
        for (int i = 0; i < headers.size(); i++) {
            checkKeys(headers.get(i), i, headers.size(), tensors);
            for (GgufTensor tensor : headers.get(i).tensors()) {
                if (!names.add(tensor.name())) {
                    throw GgufException.of(
                            GgufFault.TENSOR_DUPLICATE,
                            headers.get(i).file(),
                            "tensor " + Printable.name(tensor.name()) + " is also in an earlier shard");
                }
            }
        }
    }

    private static void checkKeys(GgufHeader header, int index, int count, long tensors) throws GgufException {
        OptionalLong statedCount = header.metadata().count(COUNT_KEY);
        if (count == 1) {
            // Tools that join shards leave the keys behind, with a count of 0 or 1.
            if (statedCount.orElse(0) > 1) {
                throw GgufException.of(
                        GgufFault.SHARD_NAME,
                        header.file(),
                        "the file is one of " + statedCount.getAsLong() + " shards, but its name does not end in "
                                + name("", 1, (int) Math.min(statedCount.getAsLong(), 99_999)));
            }
            return;
        }
        expect(header, COUNT_KEY, statedCount, count);
        expect(header, NUMBER_KEY, header.metadata().count(NUMBER_KEY), index);
        expect(header, TENSORS_KEY, header.metadata().count(TENSORS_KEY), tensors);
    }

    private static void expect(GgufHeader header, String key, OptionalLong stated, long found) throws GgufException {
        if (stated.isPresent() && stated.getAsLong() != found) {
            throw GgufException.of(
                    GgufFault.SHARD_MISMATCH,
                    header.file(),
                    "key '" + key + "' says " + stated.getAsLong() + " where the shards beside it make it " + found);
        }
    }
}
