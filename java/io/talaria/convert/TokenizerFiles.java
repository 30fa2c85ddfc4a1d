package io.talaria.convert;

import io.talaria.gguf.GgufWriter;
import io.talaria.gguf.Printable;
import io.talaria.safetensors.HfFolder;
import io.talaria.safetensors.SafetensorsException;
import io.talaria.safetensors.SafetensorsFault;
import io.talaria.tokenizer.SentencePieceModel;
import io.talaria.tokenizer.Vocabulary;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.MissingNode;

/**
 * The tokenizer of a Hugging Face folder as GGUF metadata: the tokens of tokenizer.model, those that were added to them
 * (added_tokens.json, tokenizer_config.json), which of them begin and end texts, and the chat template.
 */
final class TokenizerFiles {
    /** The key that a file with a tokenizer has. */
    static final String MODEL = "tokenizer.ggml.model";

    private static final int MAX_FILE_BYTES = 64 << 20;
    private static final int MAX_TEMPLATE_BYTES = 1 << 20;
    private static final String CONFIG = "tokenizer_config.json";

    private final HfFolder folder;
    private final JsonNode config;
    private final TokenTable tokens;
    private final List<String> notes = new ArrayList<>();

    private TokenizerFiles(HfFolder folder, JsonNode config, TokenTable tokens) {
        this.folder = folder;
        this.config = config;
        this.tokens = tokens;
    }

    /**
     * Sets the tokenizer's keys, if the folder has a tokenizer.
     *
     * @param size of the model's vocabulary; unused tokens fill it up
     * @return what the user should know, as half sentences
     */
    static List<String> put(GgufWriter writer, HfFolder folder, int size) throws IOException {
        Optional<Path> path = folder.file("tokenizer.model");
        if (path.isEmpty()) {
            String other = folder.file("tokenizer.json").isPresent() ? " (tokenizer.json is not read)" : "";
            return List.of("the folder has no tokenizer.model" + other
                    + ", so the file has no tokenizer and takes token ids only");
        }
        SentencePieceModel model = read(path.get());
        JsonNode config = folder.json(CONFIG).orElse(MissingNode.getInstance());
        TokenizerFiles files = new TokenizerFiles(folder, config, new TokenTable(path.get(), model.pieces(), size));
        files.addTokens();
        files.tokens.fill();
        files.putTokens(writer, model);
        files.putTemplate(writer);
        files.note(model);
        return files.notes;
    }

    private static SentencePieceModel read(Path path) throws IOException {
        if (!Files.isRegularFile(path) || Files.size(path) > MAX_FILE_BYTES) {
            throw fault(path, "it is no file of at most " + MAX_FILE_BYTES + " bytes");
        }
        try {
            return SentencePieceModel.read(ByteBuffer.wrap(Files.readAllBytes(path)));
        } catch (IllegalArgumentException e) {
            throw fault(path, e.getMessage());
        }
    }

    /** From added_tokens.json, then from tokenizer_config.json, which also says which are special. */
    private void addTokens() throws IOException {
        Optional<JsonNode> added = folder.json("added_tokens.json");
        if (added.isPresent()) {
            for (Map.Entry<String, JsonNode> entry : added.get().properties()) {
                if (!entry.getValue().isIntegralNumber()) {
                    throw fault(folder.path().resolve("added_tokens.json"), "a token's id is not a number");
                }
                tokens.add(entry.getValue().asLong(), entry.getKey(), false);
            }
        }
        for (Map.Entry<String, JsonNode> entry :
                config.path("added_tokens_decoder").properties()) {
            JsonNode content = entry.getValue().path("content");
            if (!content.isString() || !entry.getKey().matches("\\d{1,9}")) {
                throw fault(folder.path().resolve(CONFIG), "a token of 'added_tokens_decoder' has no id or no content");
            }
            boolean special = entry.getValue().path("special").asBoolean(false);
            tokens.add(Long.parseLong(entry.getKey()), content.asString(), special);
        }
    }

    private void putTokens(GgufWriter writer, SentencePieceModel model) throws IOException {
        writer.putString(MODEL, "llama");
        writer.putStringArray("tokenizer.ggml.tokens", tokens.texts());
        writer.putFloat32Array("tokenizer.ggml.scores", tokens.scores());
        writer.putInt32Array("tokenizer.ggml.token_type", tokens.types());
        putId(writer, "tokenizer.ggml.bos_token_id", id("bos_token", "bos_token_id", model.bos()));
        putId(writer, "tokenizer.ggml.eos_token_id", id("eos_token", "eos_token_id", model.eos()));
        putId(writer, "tokenizer.ggml.unknown_token_id", model.unknown());
        writer.putBool(
                "tokenizer.ggml.add_bos_token", config.path("add_bos_token").asBoolean(true));
        writer.putBool(
                "tokenizer.ggml.add_eos_token", config.path("add_eos_token").asBoolean(false));
        writer.putBool("tokenizer.ggml.add_space_prefix", model.addSpacePrefix());
    }

    private static void putId(GgufWriter writer, String key, int id) {
        if (id != Vocabulary.NONE) {
            writer.putUint32(key, Integer.toUnsignedLong(id));
        }
    }

    /** The tokenizer's configuration goes before the model's, which goes before SentencePiece's own. */
    private int id(String name, String field, int otherwise) throws IOException {
        JsonNode node = config.path(name);
        JsonNode text = node.isObject() ? node.path("content") : node;
        if (text.isString()) {
            return tokens.find(text.asString())
                    .orElseThrow(() -> fault(
                            folder.path().resolve(CONFIG),
                            name + " is " + Printable.name(text.asString()) + ", which is no token"));
        }
        return folder.config().token(field).orElse(otherwise);
    }

    private void putTemplate(GgufWriter writer) throws IOException {
        Optional<Path> file = folder.file("chat_template.jinja");
        String template = null;
        if (file.isPresent()) {
            if (!Files.isRegularFile(file.get()) || Files.size(file.get()) > MAX_TEMPLATE_BYTES) {
                throw fault(file.get(), "it is no file of at most " + MAX_TEMPLATE_BYTES + " bytes");
            }
            template = new String(Files.readAllBytes(file.get()), StandardCharsets.UTF_8);
        } else if (config.path("chat_template").isString()) {
            template = config.path("chat_template").asString();
        } else { // several with names
            for (JsonNode named : config.path("chat_template")) {
                if (named.path("name").asString("").equals("default")) {
                    template = named.path("template").asString("");
                }
            }
        }
        if (template == null) {
            notes.add("the folder has no chat template");
        } else {
            writer.putString("tokenizer.chat_template", template);
        }
    }

    private void note(SentencePieceModel model) {
        if (tokens.filled() > 0) {
            notes.add(tokens.filled() + " of the model's tokens have no text in the tokenizer and are never written");
        }
        if (!model.normaliser().isEmpty()) {
            notes.add("the tokenizer was made to change texts first (" + Printable.name(model.normaliser())
                    + "), which Talaria does not do: unusual letters may become other tokens");
        }
        if (model.dropsSpaces()) {
            notes.add("the tokenizer was made to drop repeated spaces, which Talaria does not do");
        }
    }

    private static SafetensorsException fault(Path file, String problem) {
        return SafetensorsException.of(SafetensorsFault.TOKENIZER, file, problem);
    }
}
