package io.talaria.cli;

import io.talaria.model.Model;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;

/** What users write where a command takes a MODEL. */
final class ModelPath {
    /** The launcher sets it to the project's folder. */
    private static final String HOME = "talaria.home";

    private static final Path TEST_MODEL = Path.of("tests", "data", "golden", "nano-Q4_K_M.gguf");

    private ModelPath() {}

    /** Opens the model that was named. */
    static Model open(String name) throws IOException {
        if (name.startsWith("hf:") || name.startsWith("ollama:")) {
            throw new BadArgumentException("'" + name + "': models of Hugging Face and Ollama cannot be fetched yet;"
                    + " name the path of a GGUF file");
        }
        if (name.isBlank()) {
            throw new BadArgumentException("the name of the MODEL is empty; name the path of a GGUF file");
        }
        try {
            return Model.open(Path.of(name));
        } catch (InvalidPathException e) {
            throw new BadArgumentException("'" + name + "' is no path of a file: " + e.getReason());
        }
    }

    /** Opens the model that was named or, if none was, the random one of the tests, and says so. */
    static Model openOrDefault(String name) throws IOException {
        if (name != null) {
            return open(name);
        }
        Path model = Path.of(System.getProperty(HOME, ".")).resolve(TEST_MODEL);
        if (!Files.exists(model)) {
            throw new BadArgumentException("no model was named: name the path of a GGUF file");
        }
        System.err.println("No model was named, so this is the tests' tiny random one: what it writes means nothing.");
        System.err.println("For real answers name a GGUF file of Nous-Hermes-2-Mixtral-8x7B-DPO.");
        return Model.open(model);
    }
}
