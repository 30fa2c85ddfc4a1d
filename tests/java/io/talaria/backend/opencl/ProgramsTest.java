package io.talaria.backend.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.DeviceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import org.jocl.CL;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Programs: built once, found again, and what happens when they are not built. */
class ProgramsTest {
    private static final Unit UNIT = Unit.of("memory");

    @TempDir
    private Path cache;

    private Hardware hardware;

    @BeforeEach
    void useACacheOfTheTests() {
        hardware = Present.orSkip().getFirst().hardware();
        System.setProperty(CacheFolder.PROPERTY, cache.toString());
    }

    @AfterEach
    void useTheUsersAgain() {
        System.clearProperty(CacheFolder.PROPERTY);
        System.clearProperty(Programs.OPTIONS_PROPERTY);
    }

    /** As a process does that starts: how many programs it has to compile. */
    private int compiledAtAStart() {
        Programs programs = new Programs(hardware, Tuning.of(hardware));
        CL.clReleaseKernel(programs.kernel(UNIT, "repack"));
        CL.clReleaseKernel(programs.kernel(UNIT, "read_bandwidth"));
        return programs.compiled();
    }

    private List<Path> kept() throws IOException {
        try (var files = Files.list(cache.resolve("opencl"))) {
            return files.toList();
        }
    }

    @Test
    void theSecondStartCompilesNothing() throws IOException {
        assertEquals(1, compiledAtAStart());
        assertEquals(1, kept().size());
        assertEquals(0, compiledAtAStart());
        System.setProperty(Programs.OPTIONS_PROPERTY, "-DOTHER=1");
        assertEquals(1, compiledAtAStart(), "other options make another program");
    }

    @Test
    void whatIsKeptIsTheUsersAlone() throws IOException {
        compiledAtAStart();
        assertEquals("rwx------", permissions(cache.resolve("opencl")));
        assertEquals("rw-------", permissions(kept().getFirst()));
    }

    private static String permissions(Path path) throws IOException {
        return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
    }

    @Test
    void aFolderThatOthersMayWriteToIsNotUsed() throws IOException {
        compiledAtAStart();
        Files.setPosixFilePermissions(cache.resolve("opencl"), PosixFilePermissions.fromString("rwxrwxrwx"));
        assertEquals(1, compiledAtAStart());
    }

    @Test
    void whatIsDamagedIsCompiledAnew() throws IOException {
        compiledAtAStart();
        Path file = kept().getFirst();
        byte[] whole = Files.readAllBytes(file);
        byte[] flipped = whole.clone();
        flipped[whole.length / 2] ^= 1;
        for (byte[] damaged : new byte[][] {flipped, new byte[0], new byte[40], Arrays.copyOf(whole, 100)}) {
            Files.write(file, damaged);
            assertEquals(1, compiledAtAStart(), damaged.length + " bytes");
            assertEquals(0, compiledAtAStart());
        }
    }

    /** The file is as it was written, but the driver refuses it, as after an update that it does not tell of. */
    @Test
    void whatTheDriverRefusesIsCompiledAnew() throws IOException {
        compiledAtAStart();
        String name = kept().getFirst().getFileName().toString();
        new BinaryCache().put(name.substring(0, name.length() - 4), new byte[1000]);
        assertEquals(1, compiledAtAStart());
    }

    @Test
    void whatDoesNotCompileIsRefusedInTheCompilersWords() {
        System.setProperty(Programs.OPTIONS_PROPERTY, "-DROW_LANES=no_such_thing");
        Programs programs = new Programs(hardware, Tuning.of(hardware));
        DeviceException thrown = assertThrows(DeviceException.class, () -> programs.kernel(UNIT, "repack"));
        assertEquals(DeviceException.Kind.UNSUPPORTED, thrown.kind());
        System.setProperty(Programs.OPTIONS_PROPERTY, "-DROW_LANES=no_such_thing");
        FoundDevices found = FoundDevices.look();
        assertTrue(found.usable().isEmpty());
        String reason = found.reason().orElseThrow();
        assertTrue(reason.contains("memory.cl") && reason.contains("no_such_thing"), reason);
    }

    /** The sources name each other by relative paths, and all of them are in the jar. */
    @Test
    void sourcesAreWhole() {
        for (String file :
                List.of("memory", "norm", "product", "gate_up", "rope_append", "attention", "route", "top_logits")) {
            String source = KernelSource.read("opencl/" + file + ".cl");
            assertFalse(source.contains("#include \""), file);
            assertTrue(source.contains("talaria_batch_shape"), file);
        }
    }
}
