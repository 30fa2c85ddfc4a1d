package io.talaria.backend.opencl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GoldenModels;
import io.talaria.TestData;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Talaria started where OpenCL is otherwise than here: in processes of their own, as a loader looks around but once. */
class StartTest {
    @TempDir
    private Path folder;

    private record Result(int code, String out) {}

    private static Result talaria(Map<String, String> environment, List<String> options, String... args)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-XX:+UseSerialGC", "-Xmx256m", "--enable-native-access=ALL-UNNAMED"));
        command.addAll(List.of("-cp", System.getProperty("java.class.path")));
        command.addAll(options); // of two class paths the last one counts
        command.add("io.talaria.cli.Main");
        command.addAll(List.of(args));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().putAll(environment);
        Process process = builder.start();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Result(process.waitFor(), out);
    }

    @Test
    void aLoaderWithoutDriversIsAReason() throws Exception {
        Present.orSkip();
        Result doctor = talaria(Map.of("OCL_ICD_VENDORS", folder.toString()), List.of(), "doctor");
        assertEquals(0, doctor.code(), doctor.out());
        assertTrue(doctor.out().contains("absent: the OpenCL loader finds no device"), doctor.out());
        Result run = talaria(
                Map.of("OCL_ICD_VENDORS", folder.toString()),
                List.of(),
                "run",
                TestData.golden("nano-Q4_K_M.gguf").toString(),
                "-p",
                "hi",
                "--device",
                "opencl:0");
        assertEquals(4, run.code(), run.out());
        assertTrue(run.out().contains("the OpenCL loader finds no device"), run.out());
    }

    @Test
    void whatDoesNotCompileIsAReason() throws Exception {
        Present.orSkip();
        List<String> broken = List.of("-D" + Programs.OPTIONS_PROPERTY + "=-DROW_LANES=no_such_thing");
        Result doctor = talaria(Map.of(), broken, "doctor");
        assertEquals(0, doctor.code(), doctor.out());
        assertTrue(doctor.out().contains("memory.cl is not compiled"), doctor.out());
        assertTrue(doctor.out().contains("no_such_thing"), doctor.out());
    }

    /** Two devices that are one processor: both are listed, and both compute the same bits. */
    @Test
    void twoDevicesAreTwo() throws Exception {
        Present.orSkip();
        Map<String, String> two = Map.of("POCL_DEVICES", "pthread pthread");
        Result devices = talaria(two, List.of(), "devices");
        if (!devices.out().contains("Portable Computing Language")) {
            return; // other makers' devices cannot be doubled
        }
        assertTrue(devices.out().contains("opencl:0 ") && devices.out().contains("opencl:1 "), devices.out());
        assertFalse(devices.out().contains("opencl:2 "), devices.out());
        List<byte[]> logits = new ArrayList<>();
        for (String device : List.of("opencl:0", "opencl:1")) {
            Path file = folder.resolve(device.replace(':', '-'));
            Result result = talaria(
                    two,
                    List.of(),
                    "logits",
                    TestData.golden("nano-Q4_K_M.gguf").toString(),
                    "--tokens",
                    "1,2,3,4,5,6,7,8,9",
                    "--device",
                    device,
                    "--out",
                    file.toString());
            assertEquals(0, result.code(), result.out());
            logits.add(Files.readAllBytes(file));
        }
        assertTrue(logits.getFirst().length > 0);
        assertArrayEquals(logits.get(0), logits.get(1));
    }

    /** JOCL's library goes through no folder that users share, and none of it is left behind. */
    @Test
    void nothingIsUnpackedForOthersToExchange() throws Exception {
        Present.orSkip();
        Path shared = Files.createDirectory(folder.resolve("shared"));
        Path cache = folder.resolve("cache");
        List<String> options = List.of("-Djava.io.tmpdir=" + shared, "-D" + CacheFolder.PROPERTY + "=" + cache);
        Result devices = talaria(Map.of(), options, "devices");
        assertTrue(devices.out().contains("opencl:0 "), devices.out());
        for (Path place : List.of(shared, cache)) {
            try (var files = Files.walk(place)) {
                assertEquals(
                        List.of(),
                        files.filter(path -> path.getFileName().toString().contains("JOCL"))
                                .toList());
            }
        }
    }

    /**
     * Work cut as for a GPU: teams of 32 lanes that meet in local memory. Not optimised, as PoCL 3.1 optimises what lanes of
     * one work-group do apart to something else.
     */
    @Test
    void kernelsForGpusComputeTheSameOnAProcessor() throws Exception {
        Present.orSkip();
        List<String> gpu =
                List.of("-D" + Tuning.SHAPE_PROPERTY + "=gpu", "-D" + Programs.OPTIONS_PROPERTY + "=-cl-opt-disable");
        for (String chunk : List.of("1", "9")) {
            float[] expected = logits("as-it-is-" + chunk, List.of(), chunk);
            float[] computed = logits("for-gpus-" + chunk, gpu, chunk);
            assertTrue(GoldenModels.nmse(computed, expected) <= 1e-7, "chunk " + chunk);
        }
        if (Boolean.getBoolean("talaria.all")) {
            Result validate = talaria(Map.of(), gpu, "validate", "--device", "opencl:0");
            assertEquals(0, validate.code(), validate.out());
        }
    }

    /** Of nine tokens of a small model, in half mode. */
    private float[] logits(String name, List<String> options, String chunk) throws IOException, InterruptedException {
        Path file = folder.resolve(name);
        Result result = talaria(
                Map.of(),
                options,
                "logits",
                TestData.golden("nano-Q4_K_M.gguf").toString(),
                "--tokens",
                "1,2,3,4,5,6,7,8,9",
                "--device",
                "opencl:0",
                "--activations",
                "half",
                "--chunk",
                chunk,
                "--out",
                file.toString());
        assertEquals(0, result.code(), result.out());
        float[] values = new float[(int) Files.size(file) / Float.BYTES];
        ByteBuffer.wrap(Files.readAllBytes(file))
                .order(ByteOrder.LITTLE_ENDIAN)
                .asFloatBuffer()
                .get(values);
        return values;
    }

    /** An embedder may leave the jar out. */
    @Test
    void withoutJoclThereIsAReason() throws Exception {
        String without = Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(entry -> !Path.of(entry).getFileName().toString().startsWith("jocl"))
                .collect(Collectors.joining(File.pathSeparator));
        Result doctor = talaria(Map.of(), List.of("-cp", without), "doctor");
        assertEquals(0, doctor.code(), doctor.out());
        assertTrue(
                doctor.out().contains("absent: OpenCL cannot be used: java.lang.NoClassDefFoundError"), doctor.out());
    }

    /** A processor behind OpenCL is no reason to leave the backend that is made for it. */
    @Test
    void aProcessorIsNotPreferred() {
        List<SharedDevice> usable = Present.orSkip();
        boolean processorsAlone =
                usable.stream().allMatch(device -> device.hardware().processor());
        assertEquals(processorsAlone, new OpenClBackend().preferred().isEmpty());
    }
}
