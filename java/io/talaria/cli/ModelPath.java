package io.talaria.cli;

import io.talaria.model.Model;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;

/** What users write where a command takes a MODEL. */
final class ModelPath {
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

    /** Opens the model that was named or, if none was, the small one that comes with Talaria, and says so. */
    static Model openOrDefault(String name) throws IOException {
        if (name != null) {
            return open(name);
        }
        Path model = ShippedModel.model();
        if (!Files.exists(model)) {
            throw new BadArgumentException("no model was named, and " + model
                    + ", which comes with Talaria, is not there: name the path of a GGUF file");
        }
        return Model.open(model);
    }
}
