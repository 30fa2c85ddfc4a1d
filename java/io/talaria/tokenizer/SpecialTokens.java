package io.talaria.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Set;

/**
 * Finds the tokens that are cut out of a text before it is merged. Longer ones go first, wherever they are; then those
 * with the lower id; then those further left.
 */
final class SpecialTokens {
    /** A token found in bytes {@code from} (inclusive) to {@code to} (exclusive) of the text. */
    record Match(int token, int from, int to) {
        int length() {
            return to - from;
        }
    }

    private record Special(int token, byte[] text) {}

    private static final Comparator<Match> LONGEST_FIRST = Comparator.comparingInt(Match::length)
            .reversed()
            .thenComparingInt(Match::token)
            .thenComparingInt(Match::from);

    /** In the order of their bytes, so that those with a common beginning are neighbours. */
    private final List<Special> specials = new ArrayList<>();

    private final boolean[] begins = new boolean[256];

    SpecialTokens(Vocabulary vocabulary, Set<TokenType> types) {
        for (int token = 0; token < vocabulary.size(); token++) {
            if (types.contains(vocabulary.type(token))
                    && !vocabulary.piece(token).isEmpty()) {
                byte[] text = vocabulary.piece(token).getBytes(StandardCharsets.UTF_8);
                specials.add(new Special(token, text));
                begins[text[0] & 0xFF] = true;
            }
        }
        specials.sort((a, b) -> Arrays.compareUnsigned(a.text, b.text));
    }

    /** The tokens in this text that do not overlap, from left to right. */
    List<Match> find(byte[] text) {
        PriorityQueue<Match> candidates = new PriorityQueue<>(LONGEST_FIRST);
        for (int from = 0; from < text.length; from++) {
            if (begins[text[from] & 0xFF]) {
                offerLongest(text, from, text.length, candidates);
            }
        }
        BitSet taken = new BitSet();
        List<Match> matches = new ArrayList<>();
        while (!candidates.isEmpty()) {
            Match match = candidates.poll();
            int free = taken.nextSetBit(match.from);
            if (free < 0 || free >= match.to) {
                taken.set(match.from, match.to);
                matches.add(match);
            } else {
                offerLongest(text, match.from, free, candidates);
            }
        }
        matches.sort(Comparator.comparingInt(Match::from));
        return matches;
    }

    /** Offers the longest token that begins at {@code from} and ends at {@code limit} or before. */
    private void offerLongest(byte[] text, int from, int limit, PriorityQueue<Match> candidates) {
        Match longest = null;
        int low = 0;
        int high = specials.size();
        for (int to = from; to < limit && low < high; to++) {
            int depth = to - from;
            int wanted = text[to] & 0xFF;
            low = firstNotBelow(low, high, depth, wanted);
            high = firstNotBelow(low, high, depth, wanted + 1);
            if (low < high && specials.get(low).text.length == depth + 1) {
                longest = new Match(specials.get(low).token, from, to + 1);
            }
        }
        if (longest != null) {
            candidates.add(longest);
        }
    }

    /** Among specials that agree up to {@code depth}, the first whose byte there is {@code wanted} or more. */
    private int firstNotBelow(int low, int high, int depth, int wanted) {
        while (low < high) {
            int middle = (low + high) >>> 1;
            byte[] text = specials.get(middle).text;
            // The text that ends here comes before all that go on.
            if (text.length <= depth || (text[depth] & 0xFF) < wanted) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }
}
