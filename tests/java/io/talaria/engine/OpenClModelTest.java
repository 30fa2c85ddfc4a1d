package io.talaria.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.talaria.GoldenModels;
import io.talaria.GoldenModels.Prompt;
import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.DeviceException;
import io.talaria.engine.LogitsRunner.Setting;
import io.talaria.quant.TensorType;
import java.io.IOException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole models on OpenCL: weights that no buffer holds. */
class OpenClModelTest {
    private static final String LIMIT = "talaria.opencl.weight.buffer";

    @BeforeEach
    void aDeviceIsHere() {
        Backends.all().stream()
                .filter(backend -> backend.name().equals("opencl"))
                .forEach(backend -> assumeTrue(
                        backend.unavailable().isEmpty(),
                        () -> "not tested: OpenCL: " + backend.unavailable().orElseThrow()));
    }

    @AfterEach
    void noLimit() {
        System.clearProperty(LIMIT);
    }

    /** 20 KB cut an expert's matrix in two, and 150 KB hold four of eight experts. */
    @ParameterizedTest
    @ValueSource(ints = {20_000, 150_000})
    void weightsInPartsGiveTheSameBits(int limit) throws IOException {
        Prompt prompt = GoldenModels.prompts("nano-Q4_K_M.gguf").getFirst().first(40);
        for (int chunk : new int[] {1, 7}) {
            Setting setting =
                    Setting.of("opencl:0", Activations.INT8, TensorType.F16).chunk(chunk);
            System.clearProperty(LIMIT);
            float[][] whole = LogitsRunner.logits(prompt, setting);
            System.setProperty(LIMIT, Integer.toString(limit));
            float[][] parts = LogitsRunner.logits(prompt, setting);
            assertTrue(whole.length > 0);
            for (int row = 0; row < whole.length; row++) {
                assertArrayEquals(whole[row], parts[row], "chunk " + chunk + ", row " + row);
            }
        }
    }

    @Test
    void aLimitThatNoRowsFitIntoIsOutOfMemory() throws IOException {
        System.setProperty(LIMIT, "5000");
        Prompt prompt = GoldenModels.prompts("nano-Q4_K_M.gguf").getFirst().first(2);
        Setting setting = Setting.of("opencl:0", Activations.INT8, TensorType.F16);
        DeviceException thrown = assertThrows(DeviceException.class, () -> LogitsRunner.logits(prompt, setting));
        assertEquals(DeviceException.Kind.OUT_OF_MEMORY, thrown.kind());
    }
}
