package io.talaria.backend;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * What changes from run to run of a step: rows of tokens with their positions and block tables, which rows' logits are
 * wanted, and how to adjust those. Any mix of prompt chunks and single tokens of several sequences.
 *
 * <p>It is one direct buffer of 32-bit words, in the order that {@code args.h} documents; refilled for every run.
 */
public final class Batch {
    private static final int ROWS = 0;
    private static final int WANTED = 1;
    private static final int MASKED = 2;

    private final BatchShape shape;
    private final ByteBuffer words;
    private final BatchLayout at;

    public Batch(BatchShape shape) {
        this.shape = shape;
        at = BatchLayout.of(shape);
        words = ByteBuffer.allocateDirect(Math.multiplyExact(at.end(), Integer.BYTES))
                .order(ByteOrder.LITTLE_ENDIAN);
        clear();
    }

    public BatchShape shape() {
        return shape;
    }

    /** No rows, no blocks. */
    public void clear() {
        put(ROWS, 0);
        put(WANTED, 0);
        put(MASKED, 0);
        put(at.adjustBegin(), 0);
        for (int i = at.block(); i < at.mask(); i++) {
            put(i, -1);
        }
    }

    /** Names the KV block that holds positions {@code [column * B, (column + 1) * B)} of a sequence. */
    public void setBlock(int sequence, int column, int kvBlock) {
        check(sequence >= 0 && sequence < shape.tables(), "sequence " + sequence + " is past the batch's tables");
        check(column >= 0 && column < shape.blocks(), "block " + column + " is past the batch's blocks");
        put(at.block() + sequence * shape.blocks() + column, kvBlock);
    }

    /** Adds a row: a token of a sequence at a position. Returns its number. */
    public int addRow(int tokenId, int tokenPosition, int sequence) {
        int row = rows();
        check(row < shape.rows(), "the batch has " + shape.rows() + " rows and all are taken");
        put(at.token() + row, tokenId);
        put(at.position() + row, tokenPosition);
        put(at.table() + row, sequence);
        put(ROWS, row + 1);
        return row;
    }

    /** Wants the logits of a row; rows in rising order. Returns the number of the wanted row. */
    public int addWanted(int row) {
        int index = wanted();
        check(index < shape.wanted(), "the batch may want " + shape.wanted() + " rows and does already");
        check(row < rows() && (index == 0 || row > wantedRow(index - 1)), "wanted rows must rise and exist: " + row);
        put(at.wantedRow() + index, row);
        for (int i = 0; i < shape.targets(); i++) {
            put(at.target() + index * shape.targets() + i, -1);
        }
        for (int i = 0; i < shape.maskWords(); i++) {
            put(at.mask() + index * shape.maskWords() + i, -1);
        }
        put(at.adjustBegin() + index + 1, get(at.adjustBegin() + index));
        put(WANTED, index + 1);
        return index;
    }

    /** Asks for the log-probability of a token at the newest wanted row. */
    public void setTarget(int slot, int tokenId) {
        check(wanted() > 0 && slot >= 0 && slot < shape.targets(), "there is no target slot " + slot);
        put(at.target() + (wanted() - 1) * shape.targets() + slot, tokenId);
    }

    /**
     * Adjusts a logit of the newest wanted row: it becomes {@code (logit > 0 ? logit / penalty : logit * penalty) + add}.
     */
    public void adjust(int tokenId, float penalty, float add) {
        check(wanted() > 0, "there is no wanted row to adjust");
        check(penalty > 0 && Float.isFinite(penalty), "a penalty must be positive: " + penalty);
        int index = get(at.adjustBegin() + wanted());
        check(index < shape.adjustments(), "the batch may have " + shape.adjustments() + " adjustments and has");
        put(at.adjustToken() + index, tokenId);
        put(at.adjustPenalty() + index, Float.floatToRawIntBits(penalty));
        put(at.adjustAdd() + index, Float.floatToRawIntBits(add));
        put(at.adjustBegin() + wanted(), index + 1);
    }

    /** Allows the newest wanted row those tokens alone whose bit is set; the other rows stay as they are. */
    public void setMask(int[] allowed) {
        check(wanted() > 0 && allowed.length == shape.maskWords(), "a mask has " + shape.maskWords() + " words");
        for (int i = 0; i < allowed.length; i++) {
            put(at.mask() + (wanted() - 1) * shape.maskWords() + i, allowed[i]);
        }
        put(MASKED, 1);
    }

    /** A batch of some of these rows, of the same shape and sequences, and of those that are wanted among them. */
    public Batch part(int from, int to) {
        return part(from, to, shape);
    }

    /**
     * The same in a shape that has room for fewer rows, or for none that are wanted, which are left out then.
     *
     * @param from the first of them
     * @param to behind the last
     */
    public Batch part(int from, int to, BatchShape narrower) {
        check(from >= 0 && from < to && to <= rows(), "rows " + from + " to " + to + " of a batch of " + rows());
        check(
                narrower.tables() == shape.tables() && narrower.blocks() == shape.blocks(),
                "a part of a batch has the same sequences");
        Batch part = new Batch(narrower);
        int tableBytes = shape.tables() * shape.blocks() * Integer.BYTES;
        part.words.put(part.at.block() * Integer.BYTES, words, at.block() * Integer.BYTES, tableBytes);
        for (int row = from; row < to; row++) {
            part.addRow(token(row), position(row), sequence(row));
        }
        for (int i = 0; i < wanted() && narrower.wanted() > 0; i++) {
            if (wantedRow(i) >= from && wantedRow(i) < to) {
                part.addWanted(this, i, wantedRow(i) - from);
            }
        }
        return part;
    }

    /** Wants a row as another batch of the same targets and masks does. */
    private void addWanted(Batch other, int wanted, int row) {
        int index = addWanted(row);
        for (int slot = 0; slot < shape.targets(); slot++) {
            setTarget(slot, other.target(wanted, slot));
        }
        for (int i = other.adjustmentsBegin(wanted); i < other.adjustmentsBegin(wanted + 1); i++) {
            adjust(other.adjustedToken(i), other.penalty(i), other.added(i));
        }
        int maskBytes = shape.maskWords() * Integer.BYTES;
        words.put(
                at.mask() * Integer.BYTES + index * maskBytes,
                other.words,
                other.at.mask() * Integer.BYTES + wanted * maskBytes,
                maskBytes);
        put(MASKED, other.get(MASKED));
    }

    public int rows() {
        return get(ROWS);
    }

    public int wanted() {
        return get(WANTED);
    }

    public int token(int row) {
        return get(at.token() + row);
    }

    public int position(int row) {
        return get(at.position() + row);
    }

    public int sequence(int row) {
        return get(at.table() + row);
    }

    public int wantedRow(int wanted) {
        return get(at.wantedRow() + wanted);
    }

    public int target(int wanted, int slot) {
        return get(at.target() + wanted * shape.targets() + slot);
    }

    /** The KV block of a sequence's position, for a cache of so many positions per block; -1 if none was set. */
    public int kvBlock(int sequence, int tokenPosition, int positionsPerBlock) {
        int column = tokenPosition / positionsPerBlock;
        return column < shape.blocks() ? get(at.block() + sequence * shape.blocks() + column) : -1;
    }

    /** First adjustment of a wanted row; those of the row end where the next row's begin. */
    public int adjustmentsBegin(int wanted) {
        return get(at.adjustBegin() + wanted);
    }

    public int adjustedToken(int adjustment) {
        return get(at.adjustToken() + adjustment);
    }

    public float penalty(int adjustment) {
        return Float.intBitsToFloat(get(at.adjustPenalty() + adjustment));
    }

    public float added(int adjustment) {
        return Float.intBitsToFloat(get(at.adjustAdd() + adjustment));
    }

    /** Whether a wanted row may choose a token. */
    public boolean allowed(int wanted, int tokenId) {
        return get(MASKED) == 0
                || (get(at.mask() + wanted * shape.maskWords() + tokenId / Integer.SIZE) >>> tokenId % Integer.SIZE & 1)
                        == 1;
    }

    /** The words as native code reads them: a direct buffer, position 0. */
    public ByteBuffer buffer() {
        return words;
    }

    private int get(int word) {
        return words.getInt(word * Integer.BYTES);
    }

    private void put(int word, int value) {
        words.putInt(word * Integer.BYTES, value);
    }

    private static void check(boolean ok, String message) {
        if (!ok) {
            throw DeviceException.invalid(message);
        }
    }
}
