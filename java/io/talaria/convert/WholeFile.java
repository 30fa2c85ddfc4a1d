package io.talaria.convert;

import io.talaria.gguf.GgufFile;
import io.talaria.gguf.GgufWriter;
import io.talaria.model.Model;
import io.talaria.quant.Recipe;
import java.io.IOException;
import java.nio.file.Path;

/** What every file that is made here has, and has to stand. */
final class WholeFile {
    /** Of the block formats of today; the first ones had other scales. */
    private static final int QUANTISATION_VERSION = 2;

    private WholeFile() {}

    /** Sets the keys that tell what the file is written in. */
    static void putRecipe(GgufWriter writer, Recipe recipe) {
        writer.putUint32("general.file_type", recipe.fileType());
        if (recipe.base().quantised()) {
            writer.putUint32("general.quantization_version", QUANTISATION_VERSION);
        }
    }

    /**
     * Refuses, before hours of work, what would be refused when the file is opened.
     *
     * @throws IOException if the file would be no whole model, or have a tokenizer that does not fit
     */
    static void check(GgufWriter writer, Path target) throws IOException {
        GgufFile header = writer.open(target.toString(), (tensor, offset, bytes) -> {
            throw new IOException("nothing is read of a file that is only checked");
        });
        try (Model model = Model.of(header)) {
            if (header.metadata().has(TokenizerFiles.MODEL)) {
                model.tokenizer();
            }
        }
    }
}
