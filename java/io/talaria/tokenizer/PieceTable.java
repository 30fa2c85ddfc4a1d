package io.talaria.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Finds the token of a stretch of UTF-8 bytes without allocating, and knows the order in which merges happen.
 *
 * <p>Only normal and unused tokens are in the table, so that no merging of text ever yields a control token.
 */
final class PieceTable {
    private final byte[][] pieces;
    private final int[] ranks;
    private final int[] slots;
    // A vocabulary comes from a file; with a seed that nobody knows, nobody can craft one whose pieces all collide.
    private final long seed = ThreadLocalRandom.current().nextLong();
    private final int longest;

    PieceTable(Vocabulary vocabulary) {
        int size = vocabulary.size();
        pieces = new byte[size][];
        ranks = ranks(vocabulary);
        slots = new int[Integer.highestOneBit(Math.max(size, 8)) * 4];
        int maximum = 0;
        for (int token = 0; token < size; token++) {
            TokenType type = vocabulary.type(token);
            if (type == TokenType.NORMAL || type == TokenType.UNUSED) {
                pieces[token] = vocabulary.piece(token).getBytes(StandardCharsets.UTF_8);
                maximum = Math.max(maximum, pieces[token].length);
                put(token);
            }
        }
        longest = maximum;
    }

    /** The token with exactly these bytes, or {@link Vocabulary#NONE}; of several, the one with the highest id. */
    int find(byte[] text, int from, int to) {
        if (to - from > longest) {
            return Vocabulary.NONE;
        }
        return slots[slot(text, from, to)] - 1;
    }

    /** The token's place in the order of merges: 0 for those with the highest score, equal for equal scores. */
    int rank(int token) {
        return ranks[token];
    }

    private void put(int token) {
        slots[slot(pieces[token], 0, pieces[token].length)] = token + 1;
    }

    /** The slot that holds these bytes, or the empty one where they belong. */
    private int slot(byte[] text, int from, int to) {
        long hash = seed;
        for (int i = from; i < to; i++) {
            hash = (hash ^ text[i]) * 0x9E3779B97F4A7C15L;
            hash ^= hash >>> 29;
        }
        int slot = (int) hash & slots.length - 1;
        while (slots[slot] != 0) {
            byte[] piece = pieces[slots[slot] - 1];
            if (Arrays.equals(piece, 0, piece.length, text, from, to)) {
                break;
            }
            slot = slot + 1 & slots.length - 1;
        }
        return slot;
    }

    private static int[] ranks(Vocabulary vocabulary) {
        float[] ascending = new float[vocabulary.size()];
        for (int token = 0; token < ascending.length; token++) {
            ascending[token] = vocabulary.score(token);
        }
        Arrays.sort(ascending);
        int[] rankOf = new int[ascending.length];
        for (int i = ascending.length - 2; i >= 0; i--) {
            // Equal as numbers: -0 and 0 are sorted apart but have one rank.
            rankOf[i] = rankOf[i + 1] + (ascending[i] == ascending[i + 1] ? 0 : 1);
        }
        int[] ranks = new int[ascending.length];
        for (int token = 0; token < ranks.length; token++) {
            ranks[token] = rankOf[Arrays.binarySearch(ascending, vocabulary.score(token))];
        }
        return ranks;
    }
}
