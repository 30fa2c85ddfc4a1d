package io.talaria.model;

import io.talaria.gguf.GgufFile;
import io.talaria.gguf.GgufMetadata;
import io.talaria.gguf.GgufTensor;
import java.io.IOException;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;

/** Reads a model's numbers from a file's metadata and refuses those that contradict each other. */
final class ConfigReader {
    private static final String ARCHITECTURE = "llama"; // what GGUF calls the Llama family, Mixtral included
    private static final Set<String> NO_SCALING = Set.of("none", "");
    private static final int MAX_LAYERS = 1024;
    private static final int MAX_WIDTH = 1 << 20;
    private static final int MAX_EXPERTS = 512;

    private final String file;
    private final GgufMetadata metadata;

    private ConfigReader(GgufFile file) {
        this.file = file.paths().getFirst().toString();
        this.metadata = file.metadata();
    }

    static ModelConfig read(GgufFile file) throws IOException {
        return new ConfigReader(file).read(file.tensor(WeightNames.EMBEDDING));
    }

    private ModelConfig read(Optional<GgufTensor> embedding) throws IOException {
        String architecture =
                metadata.string("general.architecture").orElseThrow(() -> metadata.missing("general.architecture"));
        if (!architecture.equals(ARCHITECTURE)) {
            throw new ModelException(file + ": its architecture is '" + printable(architecture)
                    + "'; Talaria runs the Mixtral family, which GGUF files call '" + ARCHITECTURE + "'");
        }
        int hidden = number("embedding_length", 1, MAX_WIDTH);
        int heads = number("attention.head_count", 1, 4096);
        int kvHeads = number("attention.head_count_kv", 1, heads, heads);
        if (heads % kvHeads != 0) {
            throw bad("attention.head_count_kv", kvHeads + " does not divide the " + heads + " heads");
        }
        if (!metadata.has(key("attention.key_length")) && hidden % heads != 0) {
            throw bad("attention.head_count", heads + " does not divide the width of " + hidden);
        }
        int headDim = number("attention.key_length", 2, 4096, Math.max(2, hidden / heads));
        if (number("attention.value_length", 2, 4096, headDim) != headDim) {
            throw bad("attention.value_length", "differs from attention.key_length, which Talaria does not run");
        }
        if (headDim % 2 != 0) {
            throw bad("attention.key_length", "heads of " + headDim + " values cannot be turned in pairs");
        }
        int ropeDims = number("rope.dimension_count", 2, headDim, headDim);
        if (ropeDims % 2 != 0) {
            throw bad("rope.dimension_count", ropeDims + " is odd");
        }
        int experts = number("expert_count", 0, MAX_EXPERTS, 0);
        int used = number("expert_used_count", 0, MAX_EXPERTS, 0);
        if (experts == 0 ? used != 0 : used < 1 || used > experts) {
            throw bad("expert_used_count", used + " of " + experts + " experts cannot be used");
        }
        int context = number("context_length", 1, 1 << 24);
        refuseWhatIsNotDone(context);
        return new ModelConfig(
                hidden,
                number("block_count", 1, MAX_LAYERS),
                heads,
                kvHeads,
                headDim,
                number("feed_forward_length", 1, MAX_WIDTH),
                experts,
                used,
                vocabulary(embedding),
                context,
                ropeDims,
                positive("rope.freq_base", 10_000f),
                positive("attention.layer_norm_rms_epsilon", Float.NaN));
    }

    /** The embedding has a row per token; what the metadata says of the vocabulary must agree. */
    private int vocabulary(Optional<GgufTensor> embedding) throws IOException {
        if (embedding.isEmpty()) {
            throw new ModelException(file + ": the tensor '" + WeightNames.EMBEDDING + "' is missing");
        }
        long rows = embedding.get().rows();
        if (rows > 1 << 22) {
            throw new ModelException(file + ": a vocabulary of " + rows + " tokens is more than Talaria takes");
        }
        int stated = number("vocab_size", 1, 1 << 22, (int) rows);
        if (stated != rows) {
            throw bad("vocab_size", "says " + stated + " tokens where '" + WeightNames.EMBEDDING + "' has " + rows);
        }
        return (int) rows;
    }

    /** Features of the wider family that would change the result if they were passed over. */
    private void refuseWhatIsNotDone(int context) throws IOException {
        String scaling = metadata.string(key("rope.scaling.type")).orElse("none");
        if (!NO_SCALING.contains(scaling)) {
            throw bad("rope.scaling.type", "RoPE scaling '" + printable(scaling) + "' is not supported");
        }
        int window = number("attention.sliding_window", 0, Integer.MAX_VALUE, 0);
        if (window != 0 && window < context) {
            throw bad("attention.sliding_window", "a window of " + window + " positions is not supported");
        }
    }

    private int number(String name, int low, int high) throws IOException {
        OptionalLong value = metadata.uint32(key(name));
        if (value.isEmpty()) {
            throw metadata.missing(key(name));
        }
        return within(name, value.getAsLong(), low, high);
    }

    private int number(String name, int low, int high, int otherwise) throws IOException {
        OptionalLong value = metadata.uint32(key(name));
        return value.isEmpty() ? otherwise : within(name, value.getAsLong(), low, high);
    }

    private int within(String name, long value, int low, int high) throws IOException {
        if (value < low || value > high) {
            throw bad(name, value + " is not between " + low + " and " + high);
        }
        return (int) value;
    }

    private float positive(String name, float otherwise) throws IOException {
        float value = metadata.float32(key(name)).orElse(otherwise);
        if (Float.isNaN(value) && !metadata.has(key(name))) {
            throw metadata.missing(key(name));
        }
        if (!(value > 0) || Float.isInfinite(value)) {
            throw bad(name, value + " is not positive and finite");
        }
        return value;
    }

    private ModelException bad(String name, String problem) {
        return new ModelException(file + ": metadata '" + key(name) + "': " + problem);
    }

    private static String key(String name) {
        return ARCHITECTURE + "." + name;
    }

    private static String printable(String text) {
        String cut = text.length() > 80 ? text.substring(0, 80) + "…" : text;
        return cut.replaceAll("\\p{Cntrl}", "?");
    }
}
