package io.talaria.backend.opencl;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;

/**
 * Built programs on disk. A file is named by the digest of all that went into it, and begins with the digest of the rest; one
 * that is damaged counts as absent.
 */
final class BinaryCache {
    private static final int DIGEST_BYTES = 32;
    private static final int MOST_BYTES = 256 << 20;

    private final Optional<Path> folder = CacheFolder.find("opencl");

    /** The name under which a program is kept. */
    static String key(String device, String options, String source) {
        return HexFormat.of()
                .formatHex(digest((device + "\0" + options + "\0" + source).getBytes(StandardCharsets.UTF_8)));
    }

    Optional<byte[]> find(String key) {
        if (folder.isEmpty()) {
            return Optional.empty();
        }
        try {
            Path file = file(key);
            if (!Files.isRegularFile(file) || Files.size(file) > MOST_BYTES) {
                return Optional.empty();
            }
            byte[] all = Files.readAllBytes(file);
            if (all.length <= DIGEST_BYTES) {
                return Optional.empty();
            }
            byte[] binary = Arrays.copyOfRange(all, DIGEST_BYTES, all.length);
            boolean whole = Arrays.equals(digest(binary), Arrays.copyOf(all, DIGEST_BYTES));
            return whole ? Optional.of(binary) : Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /** Keeps a program, if that can be done. Temporary files are their owner's alone, and so what becomes of them. */
    void put(String key, byte[] binary) {
        if (folder.isEmpty()) {
            return;
        }
        try {
            Path temporary = Files.createTempFile(folder.get(), "new-", ".bin");
            try {
                byte[] all = Arrays.copyOf(digest(binary), DIGEST_BYTES + binary.length);
                System.arraycopy(binary, 0, all, DIGEST_BYTES, binary.length);
                Files.write(temporary, all);
                Files.move(temporary, file(key), StandardCopyOption.ATOMIC_MOVE);
            } finally {
                Files.deleteIfExists(temporary);
            }
        } catch (IOException e) {
            System.getLogger(BinaryCache.class.getName())
                    .log(System.Logger.Level.DEBUG, "a program was not kept: {0}", e.getMessage());
        }
    }

    private Path file(String key) {
        return folder.orElseThrow().resolve(key + ".bin");
    }

    private static byte[] digest(byte[] bytes) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(bytes);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
