package io.talaria.convert;

import io.talaria.gguf.GgufFile;
import io.talaria.gguf.GgufTensor;
import io.talaria.gguf.GgufWriter;
import io.talaria.gguf.GgufWriter.TensorData;
import io.talaria.model.ExpertLayout;
import io.talaria.model.LoadProgress;
import io.talaria.model.Model;
import io.talaria.model.WeightNames;
import io.talaria.quant.Recipe;
import io.talaria.quant.TensorType;
import java.io.IOException;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Writes a GGUF model in other types. */
public final class Quantizer implements AutoCloseable {
    private static final Pattern EXPERT =
            Pattern.compile("blk\\.(\\d+)\\.(ffn_gate|ffn_up|ffn_down)\\.(\\d+)\\.weight");
    private static final List<String> SPLIT_KEYS = List.of("split.no", "split.count", "split.tensors.count");

    private final Model model;
    private final Recipe recipe;
    private final List<TypeOverride> overrides;
    private final List<String> notes = new ArrayList<>();
    private final List<Written> written = new ArrayList<>();

    /**
     * A tensor that was written.
     *
     * @param from its types before, one for all or one for each of several
     * @param elements how many
     * @param error normalised mean squared error of what is written against what was read; 0 if it was not measured
     * @param largest the largest error of one element, likewise
     */
    public record Written(
            String name, String from, TensorType type, long elements, long bytes, double error, double largest) {}

    /** A tensor to be written, of one tensor of the file or of all experts of one projection. */
    private record Planned(String name, List<Long> shape, GgufRows rows) {}

    private Quantizer(Model model, Recipe recipe, List<TypeOverride> overrides) {
        this.model = model;
        this.recipe = recipe;
        this.overrides = List.copyOf(overrides);
    }

    /**
     * Opens a model and checks that it is whole.
     *
     * @param overrides other types than the recipe's, the last that matches a tensor counts; norms and routers stay F32
     * @throws IOException if the file is damaged or no model; the message names what is wrong
     */
    public static Quantizer open(Path path, Recipe recipe, List<TypeOverride> overrides) throws IOException {
        return new Quantizer(Model.open(path), recipe, overrides);
    }

    /** The files that are read. */
    public List<Path> inputs() {
        return model.file().paths();
    }

    /** What the user should know of the file that was written: half sentences. */
    public List<String> notes() {
        return List.copyOf(notes);
    }

    /** The tensors that were written, in the order of the file. */
    public List<Written> written() {
        return List.copyOf(written);
    }

    /**
     * Writes the file: complete, or not at all. Tensors that have the wanted type already are copied.
     *
     * @param stack whether experts that are one tensor each become one tensor per layer and projection
     * @param threads how many encode
     * @param measure whether the errors are wanted, which takes decoding what was encoded
     * @param progress hears of the bytes of weights that are written
     * @throws IllegalArgumentException if an override matches nothing, or there is nothing to stack
     * @throws IOException if the file cannot be read or the other cannot be written
     */
    public void write(Path target, boolean stack, int threads, boolean measure, LoadProgress progress)
            throws IOException {
        if (stack && model.layout() != ExpertLayout.SPLIT) {
            throw new IllegalArgumentException("the experts of " + inputs().getFirst() + " are not one tensor each");
        }
        notes.clear();
        written.clear();
        GgufWriter writer = new GgufWriter().putAll(model.file().metadata());
        SPLIT_KEYS.forEach(writer::remove);
        writer.remove("general.quantization_version");
        WholeFile.putRecipe(writer, recipe);
        List<Planned> tensors = plan(stack);
        TypeChoice choice = new TypeChoice(recipe, overrides, model.config().layers(), notes::add);
        choice.check(tensors.stream().map(Planned::name).toList());
        WriteProgress bytes = new WriteProgress(progress);
        try (RowEncoder encoder = new RowEncoder(inputs().getFirst(), threads)) {
            for (Planned tensor : tensors) {
                TensorType type = choice.of(tensor.name(), tensor.rows().columns());
                bytes.expect(type.bytes(tensor.rows().rows() * tensor.rows().columns()));
                writer.addTensor(
                        tensor.name(),
                        type,
                        tensor.shape(),
                        channel -> put(tensor, type, channel, encoder, measure, bytes));
            }
            noteRequantised(tensors, choice);
            WholeFile.check(writer, target);
            writer.write(target);
        }
    }

    private void put(
            Planned tensor,
            TensorType type,
            WritableByteChannel channel,
            RowEncoder encoder,
            boolean measure,
            WriteProgress bytes)
            throws IOException {
        GgufRows rows = tensor.rows();
        WriteError error = WriteError.NONE;
        if (rows.all(type)) {
            for (GgufTensor part : rows.parts()) {
                TensorData.copyOf(model.file(), part).writeTo(channel);
                bytes.accept(part.bytes());
            }
        } else {
            error = encoder.write(tensor.name(), rows, type, measure, channel, bytes);
        }
        long elements = rows.rows() * rows.columns();
        String from =
                rows.parts().stream().map(part -> part.type().name()).distinct().collect(Collectors.joining("+"));
        written.add(new Written(
                tensor.name(), from, type, elements, type.bytes(elements), error.normalised(), error.largest()));
    }

    /** The tensors in the file's order; stacked experts come where the first of them was. */
    private List<Planned> plan(boolean stack) {
        GgufFile file = model.file();
        Map<String, List<GgufTensor>> parts = new LinkedHashMap<>();
        for (GgufTensor tensor : file.tensors()) {
            Matcher expert = EXPERT.matcher(tensor.name());
            if (stack && expert.matches()) {
                int layer = Integer.parseInt(expert.group(1));
                String name = expert.group(2);
                parts.computeIfAbsent(WeightNames.stacked(layer, name), stacked -> experts(layer, name));
            } else {
                parts.put(tensor.name(), List.of(tensor));
            }
        }
        List<Planned> planned = new ArrayList<>();
        parts.forEach((name, of) -> {
            List<Long> shape = new ArrayList<>(of.getFirst().shape());
            if (of.size() > 1 || stack && name.contains("_exps.")) {
                shape.add((long) of.size());
            }
            planned.add(new Planned(name, shape, new GgufRows(file, of)));
        });
        return planned;
    }

    private List<GgufTensor> experts(int layer, String name) {
        List<GgufTensor> experts = new ArrayList<>();
        for (int expert = 0; expert < model.config().experts(); expert++) {
            String part = WeightNames.ofExpert(layer, name, expert);
            experts.add(model.file().tensor(part).orElseThrow());
        }
        return experts;
    }

    /** What was rounded once is rounded again: that is allowed, and said. */
    private void noteRequantised(List<Planned> tensors, TypeChoice choice) {
        boolean again = tensors.stream()
                .anyMatch(tensor -> tensor.rows().parts().getFirst().type().quantised()
                        && !tensor.rows()
                                .all(choice.of(tensor.name(), tensor.rows().columns())));
        if (again) {
            notes.add("the weights that were read are quantised already, so they are rounded twice;"
                    + " the F16 or BF16 file of this model gives a better one");
        }
    }

    @Override
    public void close() throws IOException {
        model.close();
    }
}
