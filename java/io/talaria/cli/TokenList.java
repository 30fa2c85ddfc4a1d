package io.talaria.cli;

import io.talaria.model.ModelConfig;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Lists of token ids, as users write them. */
final class TokenList {
    private static final long MAX_FILE_BYTES = 16 << 20;

    private TokenList() {}

    /** Numbers with commas or white space between them, each a token of the model, no more than its context. */
    static int[] parse(String option, String text, ModelConfig config) {
        String stripped = text.strip();
        if (stripped.isEmpty()) {
            throw new BadArgumentException(option + ": there are no token ids");
        }
        String[] words = stripped.split("\\s*,\\s*|\\s+", -1);
        if (words.length > config.context()) {
            throw new BadArgumentException(
                    option + ": " + words.length + " tokens are more than the model's context of " + config.context());
        }
        int[] tokens = new int[words.length];
        for (int i = 0; i < words.length; i++) {
            tokens[i] = parse(option, words[i], config.vocabulary());
        }
        return tokens;
    }

    private static int parse(String option, String word, int vocabulary) {
        try {
            int token = Integer.parseInt(word);
            if (token >= 0 && token < vocabulary) {
                return token;
            }
        } catch (NumberFormatException e) {
            // falls through to the sentence that both mistakes get
        }
        String shown = word.length() > 20 ? word.substring(0, 20) + "…" : word;
        throw new BadArgumentException(
                option + ": '" + shown + "' is no token id; the model has ids 0 to " + (vocabulary - 1));
    }

    static String readFile(Path path) throws IOException {
        if (!Files.isRegularFile(path)) {
            throw new BadArgumentException("--with " + path + ": there is no such file");
        }
        if (Files.size(path) > MAX_FILE_BYTES) {
            throw new BadArgumentException("--with " + path + ": it is larger than a list of tokens can be");
        }
        return new String(Files.readAllBytes(path), StandardCharsets.UTF_8);
    }
}
