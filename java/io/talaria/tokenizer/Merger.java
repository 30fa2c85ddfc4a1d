package io.talaria.tokenizer;

/**
 * The merging of one stretch of text: it begins as single characters, and the adjacent pair that forms the token with
 * the highest score is merged until none is left; of equal scores the leftmost goes first. Characters that have no
 * token become the tokens of their bytes.
 *
 * <p>A symbol is known by the number of its first character. The text of symbol i is that from {@code start[i]} to
 * {@code start[next[i]]}, so a merge only has to unlink the right one. Time is O(n log n) in the characters.
 */
final class Merger {
    private static final int NONE = Vocabulary.NONE;

    private final Vocabulary vocabulary;
    private final PieceTable pieces;
    private final byte[] text;
    private final int count;
    private final int[] start;
    private final int[] previous;
    private final int[] next;
    /** The token that a symbol and the next would form. */
    private final int[] merged;
    /** (rank of the merged token, left symbol); an entry whose rank is no longer that of the pair is stale. */
    private final LongHeap queue;

    private Merger(Vocabulary vocabulary, PieceTable pieces, byte[] text) {
        this.vocabulary = vocabulary;
        this.pieces = pieces;
        this.text = text;
        int characters = 0;
        for (byte b : text) {
            characters += startsCharacter(b) ? 1 : 0;
        }
        count = characters;
        start = new int[count + 1];
        previous = new int[count];
        next = new int[count];
        merged = new int[count];
        queue = new LongHeap(count);
        int symbol = 0;
        for (int i = 0; i < text.length; i++) {
            if (startsCharacter(text[i])) {
                start[symbol] = i;
                previous[symbol] = symbol - 1;
                next[symbol] = ++symbol;
            }
        }
        start[count] = text.length;
    }

    private static boolean startsCharacter(byte b) {
        return (b & 0xC0) != 0x80;
    }

    /** Appends the tokens of well-formed UTF-8 in which U+2581 stands for spaces. */
    static void encode(Vocabulary vocabulary, PieceTable pieces, byte[] text, IntList out) {
        Merger merger = new Merger(vocabulary, pieces, text);
        merger.merge();
        for (int symbol = 0; symbol < merger.count; symbol = merger.next[symbol]) {
            merger.emit(symbol, out);
        }
    }

    private void merge() {
        for (int symbol = 0; symbol < count; symbol++) {
            offer(symbol);
        }
        while (!queue.isEmpty()) {
            long entry = queue.poll();
            int left = (int) entry;
            if (merged[left] == NONE || pieces.rank(merged[left]) != entry >>> 32) {
                continue;
            }
            int right = next[left];
            merged[right] = NONE;
            next[left] = next[right];
            if (next[left] < count) {
                previous[next[left]] = left;
            }
            offer(left);
            if (previous[left] >= 0) {
                offer(previous[left]);
            }
        }
    }

    private void offer(int left) {
        int right = next[left];
        merged[left] = right < count ? pieces.find(text, start[left], start[next[right]]) : NONE;
        if (merged[left] != NONE) {
            queue.add((long) pieces.rank(merged[left]) << 32 | left);
        }
    }

    private void emit(int symbol, IntList out) {
        int from = start[symbol];
        int to = start[next[symbol]];
        int token = pieces.find(text, from, to);
        if (token != NONE) {
            out.add(token);
            return;
        }
        for (int i = from; i < to; i++) {
            if (vocabulary.byteToken(text[i] & 0xFF) == NONE) {
                out.add(vocabulary.unknown());
                return;
            }
        }
        for (int i = from; i < to; i++) {
            out.add(vocabulary.byteToken(text[i] & 0xFF));
        }
    }
}
