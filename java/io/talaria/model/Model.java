package io.talaria.model;

import io.talaria.backend.TensorSource;
import io.talaria.gguf.GgufFile;
import io.talaria.tokenizer.GgufVocabulary;
import io.talaria.tokenizer.Tokenizer;
import io.talaria.tokenizer.Vocabulary;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/**
 * A model file that has been checked: its numbers, and where each of its weights lies. Nothing is loaded yet.
 *
 * <p>It stays open for as long as devices may read from it.
 */
public final class Model implements AutoCloseable {
    private final GgufFile file;
    private final ModelConfig config;
    private final ModelWeights weights;

    private Model(GgufFile file, ModelConfig config, ModelWeights weights) {
        this.file = file;
        this.config = config;
        this.weights = weights;
    }

    /**
     * Opens a GGUF file and checks that it is a whole Mixtral model: numbers that agree, and every tensor there, of the
     * right shape and a type that weights may have.
     *
     * @throws IOException if it is not, or cannot be read; the message names the file and what is wrong
     */
    public static Model open(Path path) throws IOException {
        return of(GgufFile.open(path));
    }

    /** The same of a file that is open, which is closed with the model or if it is refused. */
    public static Model of(GgufFile file) throws IOException {
        try {
            ModelConfig config = ConfigReader.read(file);
            return new Model(file, config, new WeightFinder(file, config).find());
        } catch (IOException | RuntimeException e) {
            try (file) {
                throw e;
            }
        }
    }

    public GgufFile file() {
        return file;
    }

    /** What to call it in messages: its file, of several the first. */
    public String name() {
        return file.paths().getFirst().toString();
    }

    public ModelConfig config() {
        return config;
    }

    public ExpertLayout layout() {
        return weights.layout();
    }

    /** Where the weights lie. */
    public ModelWeights weights() {
        return weights;
    }

    /**
     * Refuses a model without experts.
     *
     * @throws ModelException if it is one
     */
    public void requireExperts() throws ModelException {
        if (weights.layout() == ExpertLayout.DENSE) {
            throw new ModelException(
                    file.paths().getFirst() + ": a dense model without experts; Talaria runs mixtures of experts");
        }
    }

    /** Every weight, for those who count bytes. */
    public List<TensorSource> sources() {
        return weights.all();
    }

    /**
     * The tokenizer in the file.
     *
     * @throws IOException if the file has none, or one that does not fit the model
     */
    public Tokenizer tokenizer() throws IOException {
        String name = file.paths().getFirst().toString();
        try {
            Vocabulary vocabulary = GgufVocabulary.read(file.metadata());
            Tokenizer tokenizer = new Tokenizer(vocabulary);
            if (tokenizer.vocabularySize() != config.vocabulary()) {
                throw new ModelException(name + ": its tokenizer has " + tokenizer.vocabularySize()
                        + " tokens where its embedding has " + config.vocabulary());
            }
            return tokenizer;
        } catch (IllegalArgumentException e) {
            throw new ModelException(name + ": its tokenizer is damaged: " + e.getMessage());
        }
    }

    @Override
    public void close() throws IOException {
        file.close();
    }
}
