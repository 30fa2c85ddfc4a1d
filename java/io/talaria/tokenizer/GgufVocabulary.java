package io.talaria.tokenizer;

import io.talaria.gguf.GgufException;
import io.talaria.gguf.GgufMetadata;
import java.util.List;
import java.util.Set;

/** Reads a vocabulary from the metadata of a GGUF file. */
public final class GgufVocabulary {
    private static final String MODEL = "tokenizer.ggml.model";
    private static final String TOKENS = "tokenizer.ggml.tokens";
    private static final String SCORES = "tokenizer.ggml.scores";
    private static final String TYPES = "tokenizer.ggml.token_type";

    /** What SentencePiece gives these tokens where a file does not say. */
    private static final int DEFAULT_UNKNOWN = 0;

    private static final int DEFAULT_BOS = 1;
    private static final int DEFAULT_EOS = 2;

    /**
     * Tokens that end a turn. Converters used to mark added tokens as user-defined, and then these would be found in
     * any text and printed; they are control tokens whatever the file says.
     */
    private static final Set<String> END_OF_TURN =
            Set.of("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>");

    private GgufVocabulary() {}

    /**
     * The vocabulary of a file whose {@code tokenizer.ggml.model} is {@code llama}.
     *
     * @throws GgufException if the model is another, a key is missing or of the wrong type, or the values do not make a
     *     vocabulary; the message names the file and the key
     */
    public static Vocabulary read(GgufMetadata metadata) throws GgufException {
        String model = metadata.string(MODEL).orElseThrow(() -> metadata.missing(MODEL));
        if (!model.equals("llama")) {
            String shown = model.length() > 20 || !model.matches("[\\w-]+") ? "another" : "'" + model + "'";
            throw metadata.unsupported(
                    MODEL, shown + " is no tokenizer that Talaria has; it has 'llama' (SentencePiece-BPE)");
        }
        List<String> tokens = metadata.stringArray(TOKENS).orElseThrow(() -> metadata.missing(TOKENS));
        float[] scores = metadata.float32Array(SCORES).orElseThrow(() -> metadata.missing(SCORES));
        int[] types = metadata.int32Array(TYPES).orElseThrow(() -> metadata.missing(TYPES));
        String[] pieces = tokens.toArray(new String[0]);
        for (int token = 0; token < Math.min(pieces.length, types.length); token++) {
            if (END_OF_TURN.contains(pieces[token])) {
                types[token] = TokenType.CONTROL.number();
            }
        }
        int bos = id(metadata, "tokenizer.ggml.bos_token_id", DEFAULT_BOS);
        int eos = id(metadata, "tokenizer.ggml.eos_token_id", DEFAULT_EOS);
        int unknown = id(metadata, "tokenizer.ggml.unknown_token_id", DEFAULT_UNKNOWN);
        boolean addBos = metadata.bool("tokenizer.ggml.add_bos_token").orElse(true);
        boolean addEos = metadata.bool("tokenizer.ggml.add_eos_token").orElse(false);
        boolean addSpacePrefix =
                metadata.bool("tokenizer.ggml.add_space_prefix").orElse(true);
        try {
            return new Vocabulary(pieces, scores, types, bos, eos, unknown, addBos, addEos, addSpacePrefix);
        } catch (IllegalArgumentException e) {
            throw metadata.invalid(TOKENS, e.getMessage());
        }
    }

    private static int id(GgufMetadata metadata, String key, int absent) throws GgufException {
        long id = metadata.uint32(key).orElse(absent);
        if (id > Integer.MAX_VALUE) {
            throw metadata.invalid(key, "there is no token " + id);
        }
        return (int) id;
    }
}
