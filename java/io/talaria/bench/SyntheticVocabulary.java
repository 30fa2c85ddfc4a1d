package io.talaria.bench;

import io.talaria.gguf.GgufWriter;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;

/** A vocabulary of made-up words over bytes, with the markers of ChatML as its last two tokens. */
final class SyntheticVocabulary {
    private static final String CHATML = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' +"
            + " message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
            + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
    private static final int NORMAL = 1;
    private static final int UNKNOWN = 2;
    private static final int CONTROL = 3;
    private static final int BYTE = 6;
    private static final String VOWELS = "aeiou";
    private static final String CONSONANTS = "bcdfghklmnprstvwz";

    private SyntheticVocabulary() {}

    static void put(GgufWriter writer, int size) {
        List<String> pieces = new ArrayList<>(List.of("<unk>", "<s>", "</s>"));
        for (int i = 0; i < 256; i++) {
            pieces.add("<0x%02X>".formatted(i));
        }
        int bytesEnd = pieces.size();
        words(pieces, size - 2);
        pieces.add("<|im_end|>");
        pieces.add("<|im_start|>");
        int[] types = new int[size];
        float[] scores = new float[size];
        for (int i = 0; i < size; i++) {
            types[i] = i == 0 ? UNKNOWN : i < 3 || i >= size - 2 ? CONTROL : i < bytesEnd ? BYTE : NORMAL;
            scores[i] = types[i] == NORMAL ? bytesEnd - i : 0;
        }
        writer.putString("tokenizer.ggml.model", "llama");
        writer.putStringArray("tokenizer.ggml.tokens", pieces);
        writer.putFloat32Array("tokenizer.ggml.scores", scores);
        writer.putInt32Array("tokenizer.ggml.token_type", types);
        writer.putUint32("tokenizer.ggml.bos_token_id", 1);
        writer.putUint32("tokenizer.ggml.eos_token_id", size - 2L);
        writer.putUint32("tokenizer.ggml.unknown_token_id", 0);
        writer.putBool("tokenizer.ggml.add_bos_token", true);
        writer.putBool("tokenizer.ggml.add_eos_token", false);
        writer.putString("tokenizer.chat_template", CHATML);
    }

    /** Letters first, so that every word can be merged from them; then syllables; then words of syllables. */
    private static void words(List<String> pieces, int end) {
        Set<String> seen = new HashSet<>(pieces);
        List<String> syllables = new ArrayList<>();
        for (char c = ' ' + 1; c < 127; c++) {
            add(pieces, seen, String.valueOf(c), end);
        }
        add(pieces, seen, "\u2581", end);
        for (char consonant : CONSONANTS.toCharArray()) {
            for (char vowel : VOWELS.toCharArray()) {
                syllables.add("" + consonant + vowel);
                add(pieces, seen, "" + consonant + vowel, end);
            }
        }
        SplittableRandom random = new SplittableRandom(7);
        while (pieces.size() < end) {
            StringBuilder word = new StringBuilder(random.nextInt(3) == 0 ? "" : "\u2581");
            for (int i = random.nextInt(1, 5); i > 0; i--) {
                word.append(syllables.get(random.nextInt(syllables.size())));
            }
            add(pieces, seen, word.toString(), end);
        }
    }

    private static void add(List<String> pieces, Set<String> seen, String piece, int end) {
        if (pieces.size() < end && seen.add(piece)) {
            pieces.add(piece);
        }
    }
}
