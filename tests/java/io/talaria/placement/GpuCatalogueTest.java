package io.talaria.placement;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Drivers write a GPU's name in ways of their own. */
class GpuCatalogueTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "NVIDIA GeForce RTX 5090       | 34190000000 | 1792",
                "NVIDIA GeForce RTX 5090, sm_120 | 34190000000 | 1792",
                "NVIDIA GeForce RTX 5090 D     | 34190000000 | 1790",
                "NVIDIA GeForce RTX 5090 Laptop GPU | 25600000000 | 0",
                "Tesla V100-SXM2-32GB          | 34080000000 | 900",
                "Tesla V100-SXM2-16GB          | 16900000000 | 0",
                "Tesla V100S-PCIE-32GB         | 34080000000 | 1130",
                "AMD Instinct MI100            | 34340000000 | 1230",
                "AMD Radeon PRO W7800          | 32190000000 | 576",
                "NVIDIA RTX 5000 Ada Generation | 34350000000 | 576",
                "NVIDIA H100 80GB HBM3         | 84930000000 | 3350",
                "NVIDIA H200                   | 150110000000 | 4800",
                "NVIDIA GeForce GTX 480        | 1600000000 | 0",
            })
    void namesOfDrivers(String name, long memory, double bandwidth) {
        assertEquals(
                bandwidth,
                GpuCatalogue.find(name, memory)
                        .map(GpuCatalogue.Gpu::gigabytesPerSecond)
                        .orElse(0.0));
    }
}
