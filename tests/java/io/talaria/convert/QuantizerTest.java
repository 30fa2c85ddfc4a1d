package io.talaria.convert;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.TestData;
import io.talaria.bench.Synthesizer;
import io.talaria.bench.SyntheticShape;
import io.talaria.gguf.GgufFile;
import io.talaria.gguf.GgufTensor;
import io.talaria.gguf.GgufWriter;
import io.talaria.gguf.GgufWriter.TensorData;
import io.talaria.model.ExpertLayout;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.quant.Quant;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class QuantizerTest {
    @TempDir
    private Path temporary;

    private Path in;
    private Path out;

    @BeforeEach
    void paths() throws IOException {
        in = temporary.resolve("in.gguf");
        out = Files.createDirectory(temporary.resolve("out")).resolve("x.gguf");
    }

    private List<String> quantize(Path from, Recipe recipe, boolean stack, TypeOverride... overrides)
            throws IOException {
        try (Quantizer quantizer = Quantizer.open(from, recipe, List.of(overrides))) {
            quantizer.write(out, stack, 3, true, LoadProgress.NONE);
            return quantizer.notes();
        }
    }

    private static byte[] bytes(GgufFile file, GgufTensor tensor) throws IOException {
        byte[] bytes = new byte[(int) tensor.bytes()];
        file.read(tensor, 0, ByteBuffer.wrap(bytes));
        return bytes;
    }

    /** A small model in F16, with rows of so many columns. */
    private void synthesize(int hidden, int ffn, ExpertLayout layout) throws IOException {
        SyntheticShape shape = new SyntheticShape("test", hidden, 2, 2, 1, hidden / 2, ffn, 3, 2, 512, 64);
        Synthesizer.write(in, shape, Recipe.F16, layout, LoadProgress.NONE);
    }

    /** Files of other tools in the same types, where ours have to be the same bytes. */
    @Test
    void q8FilesAreThoseOfOtherTools() throws IOException {
        Path expected = TestData.golden("nano-Q8_0.gguf");
        assertEquals(List.of(), quantize(TestData.golden("nano-F16.gguf"), Recipe.Q8_0, false));
        sameTensors(expected);
    }

    private void sameTensors(Path expected) throws IOException {
        try (GgufFile theirs = GgufFile.open(expected);
                GgufFile ours = GgufFile.open(out)) {
            assertEquals(theirs.tensors().size(), ours.tensors().size());
            for (GgufTensor tensor : theirs.tensors()) {
                GgufTensor same = ours.tensor(tensor.name()).orElseThrow();
                assertEquals(tensor.type(), same.type(), tensor.name());
                assertEquals(tensor.shape(), same.shape(), tensor.name());
                assertArrayEquals(bytes(theirs, tensor), bytes(ours, same), tensor.name());
            }
        }
    }

    /** The old layout becomes the file that other tools make of the same weights; nothing is encoded again. */
    @Test
    void splitExpertsAreStacked() throws IOException {
        Path split = TestData.golden("nano-split-Q4_K_M.gguf");
        assertEquals(List.of(), quantize(split, Recipe.Q4_K_M, true));
        sameTensors(TestData.golden("nano-Q4_K_M.gguf"));
        IllegalArgumentException e =
                assertThrows(IllegalArgumentException.class, () -> quantize(out, Recipe.Q4_K_M, true));
        assertTrue(e.getMessage().contains("are not one tensor each"), e.getMessage());
    }

    @Test
    void splitExpertsStayAsTheyAre() throws IOException {
        synthesize(256, 256, ExpertLayout.SPLIT);
        assertEquals(List.of(), quantize(in, Recipe.Q5_K_M, false));
        try (Model model = Model.open(out)) {
            assertEquals(ExpertLayout.SPLIT, model.layout());
            assertEquals(17, model.file().metadata().uint32("general.file_type").orElseThrow());
            for (GgufTensor tensor : model.file().tensors()) {
                assertEquals(Recipe.Q5_K_M.type(tensor.name(), 2).orElseThrow(), tensor.type(), tensor.name());
            }
        }
    }

    /** Each tensor is what the encoder makes of its values, whoever of several threads has encoded which rows. */
    @Test
    void tensorsAreEncodedRowByRow() throws IOException {
        synthesize(256, 512, ExpertLayout.STACKED);
        for (Recipe recipe : Recipe.values()) {
            try (Quantizer quantizer = Quantizer.open(in, recipe, List.of())) {
                quantizer.write(out, false, 3, true, LoadProgress.NONE);
                try (GgufFile file = GgufFile.open(in);
                        Model written = Model.open(out)) {
                    for (Quantizer.Written tensor : quantizer.written()) {
                        GgufTensor result = written.file().tensor(tensor.name()).orElseThrow();
                        float[] values =
                                HfWriter.values(file, file.tensor(tensor.name()).orElseThrow());
                        byte[] expected = new byte[(int) result.bytes()];
                        Quant.encode(result.type(), values, 0, expected, 0, values.length);
                        assertArrayEquals(expected, bytes(written.file(), result), tensor.name());
                        float[] decoded = HfWriter.values(written.file(), result);
                        assertEquals(WriteError.of(values, decoded).normalised(), tensor.error(), 1e-12);
                        assertEquals(WriteError.of(values, decoded).largest(), tensor.largest());
                    }
                }
            }
        }
    }

    @Test
    void patternsChangeTypesButNotThoseOfNorms() throws IOException {
        synthesize(256, 256, ExpertLayout.STACKED);
        quantize(
                in,
                Recipe.Q8_0,
                false,
                new TypeOverride(Pattern.compile("^blk"), TensorType.Q6_K),
                new TypeOverride(Pattern.compile("blk\\.1\\.ffn_down"), TensorType.BF16));
        try (Model model = Model.open(out)) {
            GgufFile file = model.file();
            assertEquals(
                    TensorType.Q8_0, file.tensor("output.weight").orElseThrow().type());
            assertEquals(
                    TensorType.F32,
                    file.tensor("blk.0.attn_norm.weight").orElseThrow().type());
            assertEquals(
                    TensorType.Q6_K,
                    file.tensor("blk.0.ffn_down_exps.weight").orElseThrow().type());
            assertEquals(
                    TensorType.BF16,
                    file.tensor("blk.1.ffn_down_exps.weight").orElseThrow().type());
        }
        for (String useless : List.of("nothing", "attn_norm")) {
            TypeOverride override = new TypeOverride(Pattern.compile(useless), TensorType.Q6_K);
            IllegalArgumentException e =
                    assertThrows(IllegalArgumentException.class, () -> quantize(in, Recipe.Q8_0, false, override));
            assertTrue(e.getMessage().contains("'" + useless + "' in its name"), e.getMessage());
        }
    }

    @Test
    void rowsThatDoNotFillBlocksGetAnotherType() throws IOException {
        synthesize(96, 40, ExpertLayout.STACKED);
        List<String> notes = quantize(in, Recipe.Q6_K, false);
        assertTrue(
                notes.contains("'token_embd.weight' is written in Q8_0, because its rows of 96 values do not fill Q6_K"
                        + " blocks of 256"),
                notes.toString());
        try (Model model = Model.open(out)) {
            GgufFile file = model.file();
            assertEquals(
                    TensorType.F16,
                    file.tensor("blk.0.ffn_down_exps.weight").orElseThrow().type());
            assertEquals(
                    TensorType.Q8_0,
                    file.tensor("blk.0.ffn_up_exps.weight").orElseThrow().type());
        }
    }

    @Test
    void quantisedInputIsNoted() throws IOException {
        List<String> notes = quantize(TestData.golden("nano-Q4_K_M.gguf"), Recipe.Q8_0, false);
        assertEquals(1, notes.size());
        assertTrue(notes.getFirst().contains("rounded twice"), notes.toString());
    }

    /** One bad value: the tensor is named, and nothing is left of the file. */
    @Test
    void valuesThatCannotBeWrittenAreRefused() throws IOException {
        synthesize(256, 256, ExpertLayout.STACKED);
        for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY, 65_505}) {
            Path bad = withValue(value);
            IOException e = assertThrows(IOException.class, () -> quantize(bad, Recipe.Q4_K_M, false));
            assertTrue(
                    e.getMessage().contains("bad.gguf: the tensor 'output.weight' has the value " + value),
                    e.getMessage());
            try (Stream<Path> files = Files.list(out.getParent())) {
                assertEquals(0, files.count());
            }
        }
        quantize(withValue(65_505), Recipe.BF16, false);
        assertTrue(Files.exists(out));
    }

    /** The model with its output in F32, one value of it changed. */
    private Path withValue(float value) throws IOException {
        Path bad = temporary.resolve("bad.gguf");
        try (GgufFile file = GgufFile.open(in)) {
            GgufWriter writer = new GgufWriter().putAll(file.metadata());
            for (GgufTensor tensor : file.tensors()) {
                if (tensor.name().equals("output.weight")) {
                    float[] values = HfWriter.values(file, tensor);
                    values[values.length - 1] = value;
                    byte[] bytes = new byte[4 * values.length];
                    Quant.encode(TensorType.F32, values, 0, bytes, 0, values.length);
                    writer.addTensor(
                            tensor.name(), TensorType.F32, tensor.shape(), TensorData.of(ByteBuffer.wrap(bytes)));
                } else {
                    writer.addTensor(tensor.name(), tensor.type(), tensor.shape(), TensorData.copyOf(file, tensor));
                }
            }
            writer.write(bad);
        }
        return bad;
    }

    @Test
    void whatIsNoModelIsRefused() throws IOException {
        Files.writeString(in, "nothing of the kind");
        assertThrows(IOException.class, () -> quantize(in, Recipe.Q8_0, false));
        assertFalse(Files.exists(out));
    }
}
