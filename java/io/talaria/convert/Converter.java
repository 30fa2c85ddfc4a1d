package io.talaria.convert;

import io.talaria.convert.MixtralTensors.Planned;
import io.talaria.gguf.GgufWriter;
import io.talaria.model.LoadProgress;
import io.talaria.model.ModelConfig;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import io.talaria.safetensors.HfFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Writes a Mixtral's Hugging Face folder as a GGUF file. */
public final class Converter implements AutoCloseable {
    private final HfFolder folder;
    private final Recipe recipe;
    private final ModelConfig config;
    private final List<Planned> tensors;
    private final List<String> notes = new ArrayList<>();

    private Converter(HfFolder folder, Recipe recipe, ModelConfig config, List<Planned> tensors) {
        this.folder = folder;
        this.recipe = recipe;
        this.config = config;
        this.tensors = tensors;
    }

    /**
     * Opens a folder and checks that it holds a whole Mixtral. What is checked is everything but the numbers themselves.
     *
     * @param recipe the types to write, or null for the type that the folder's weights have
     * @throws IOException if the folder is damaged or holds another model; the message names what is wrong
     */
    public static Converter open(Path path, Recipe recipe) throws IOException {
        HfFolder folder = HfFolder.open(path);
        try {
            ModelConfig config = HfModelConfig.read(folder.config());
            List<Planned> tensors = MixtralTensors.of(folder, config);
            Recipe chosen = recipe == null ? typeOf(tensors.getFirst()) : recipe;
            return new Converter(folder, chosen, config, tensors);
        } catch (IOException | RuntimeException e) {
            try (folder) {
                throw e;
            }
        }
    }

    private static Recipe typeOf(Planned embedding) {
        return Recipe.of(embedding.rows().parts().getFirst().tensor().type().name());
    }

    /** What the file is written in. */
    public Recipe recipe() {
        return recipe;
    }

    /** The files that are read. */
    public List<Path> inputs() {
        return folder.paths();
    }

    /** What the user should know of the file that was written: half sentences. */
    public List<String> notes() {
        return List.copyOf(notes);
    }

    /**
     * Writes the file: complete, or not at all.
     *
     * @param threads how many encode
     * @param progress hears of the bytes of weights that are written
     * @throws IOException if the folder cannot be read or the file cannot be written
     */
    public void write(Path target, int threads, LoadProgress progress) throws IOException {
        GgufWriter writer = new GgufWriter();
        notes.clear();
        putMetadata(writer);
        TypeChoice choice = new TypeChoice(recipe, List.of(), config.layers(), notes::add);
        WriteProgress written = new WriteProgress(progress);
        try (RowEncoder encoder = new RowEncoder(folder.path(), threads)) {
            for (Planned tensor : tensors) {
                HfRows rows = tensor.rows();
                TensorType type = choice.of(tensor.name(), rows.columns());
                written.expect(type.bytes(rows.rows() * rows.columns()));
                writer.addTensor(
                        tensor.name(),
                        type,
                        tensor.shape(),
                        channel -> encoder.write(tensor.name(), rows, type, false, channel, written));
            }
            WholeFile.check(writer, target);
            writer.write(target);
        }
    }

    private void putMetadata(GgufWriter writer) throws IOException {
        writer.putString("general.architecture", "llama");
        Path name = folder.path().toRealPath().getFileName();
        writer.putString("general.name", name == null ? "" : name.toString());
        HfModelConfig.put(writer, config);
        WholeFile.putRecipe(writer, recipe);
        notes.addAll(TokenizerFiles.put(writer, folder, config.vocabulary()));
    }

    @Override
    public void close() throws IOException {
        folder.close();
    }
}
