package io.talaria.validate;

import io.talaria.backend.Batch;
import io.talaria.backend.Device;
import io.talaria.backend.Tensor;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.function.IntBinaryOperator;

/** Faults of the kinds that kernels have. */
final class Faults {
    private Faults() {}

    /** Changes what a verb wrote. */
    private interface Change {
        void make(ByteBuffer words, Tensor tensor, Fault.Call call, Device device);
    }

    /** A fault in the tensor that a verb writes first, once it is written. */
    private static Fault after(String name, String verb, Change change) {
        return new Fault(name, verb) {
            @Override
            void after(Device device, Call call, Batch batch) {
                Tensor written = call.tensors().getFirst();
                ByteBuffer words = read(device, written);
                change.make(words, written, call, device);
                write(device, written, words);
            }
        };
    }

    /** A fault in the tensor that a verb reads second. */
    private static Fault before(String name, String verb, Change change) {
        return new Fault(name, verb) {
            @Override
            void before(Device device, Call call, Batch batch) {
                Tensor reads = call.tensors().get(1);
                ByteBuffer words = read(device, reads);
                change.make(words, reads, call, device);
                write(device, reads, words);
            }
        };
    }

    private static void multiply(ByteBuffer words, int at, float factor) {
        words.putFloat(at * Float.BYTES, words.getFloat(at * Float.BYTES) * factor);
    }

    private static void swap(ByteBuffer words, int a, int b) {
        int kept = words.getInt(a * Integer.BYTES);
        words.putInt(a * Integer.BYTES, words.getInt(b * Integer.BYTES));
        words.putInt(b * Integer.BYTES, kept);
    }

    static final Fault VALUES_SWAPPED =
            after("two values of the first row are swapped", "embed", (words, tensor, call, device) -> {
                swap(words, 0, 1);
            });

    static final Fault LAST_COLUMN_DROPPED = before(
            "the last column of the output product is dropped", "attentionOutput", (words, tensor, call, device) -> {
                int columns = Fault.columns(tensor);
                for (int at = columns - 1; at < words.capacity() / Float.BYTES; at += columns) {
                    multiply(words, at, 0);
                }
            });

    /** One value in every slot of the expert that the first row chose first. */
    static final Fault DOWN_ROW_ZEROED = after(
            "a row of one expert's down product is zero",
            "experts",
            (words, tensor, call, device) ->
                    ofFirstExpert(words, tensor, call, device, (at, value) -> at == 5 ? 0 : value));

    static final Fault EXPERT_SCALED = after(
            "one expert's scale is off by 2 %",
            "experts",
            (words, tensor, call, device) -> ofFirstExpert(
                    words,
                    tensor,
                    call,
                    device,
                    (at, value) -> Float.floatToRawIntBits(Float.intBitsToFloat(value) * 1.02f)));

    private static void ofFirstExpert(
            ByteBuffer words, Tensor slots, Fault.Call call, Device device, IntBinaryOperator change) {
        Tensor routing = call.tensors().get(2);
        ByteBuffer chosen = Fault.read(device, routing);
        int hidden = Fault.columns(slots);
        int used = Fault.columns(routing) / 2;
        int expert = chosen.getInt(0);
        for (int slot = 0; slot < words.capacity() / Float.BYTES / hidden; slot++) {
            if (chosen.getInt((slot / used * 2 * used + slot % used) * Integer.BYTES) == expert) {
                for (int i = 0; i < hidden; i++) {
                    int at = (slot * hidden + i) * Integer.BYTES;
                    words.putInt(at, change.applyAsInt(i, words.getInt(at)));
                }
            }
        }
    }

    /** The slot keeps what was in it. */
    static final Fault SLOT_STALE = after(
            "the last value of the first row's slots is not written", "experts", (words, tensor, call, device) -> {
                int at = Fault.columns(call.tensors().get(2)) / 2 * Fault.columns(tensor) - 1;
                words.putInt(at * Integer.BYTES, Rig.BLANK);
            });

    static final Fault WEIGHTS_SWAPPED = after(
            "the weights of two experts are swapped",
            "route",
            (words, tensor, call, device) -> swap(words, Fault.columns(tensor) / 2, Fault.columns(tensor) / 2 + 1));

    static final Fault IDS_SWAPPED =
            after("the ids of two experts are swapped", "route", (words, tensor, call, device) -> swap(words, 0, 1));

    static final Fault ROUTING_TIES_BY_HIGHER_ID =
            after("experts that tie go by the higher id", "route", (words, tensor, call, device) -> {
                int used = Fault.columns(tensor) / 2;
                ties(words, Fault.columns(tensor), used);
            });

    static final Fault TOKEN_TIES_BY_HIGHER_ID =
            after("tokens that tie go by the higher id", "topLogits", (words, tensor, call, device) -> {
                int k = (Fault.columns(tensor) - 1) / 3;
                ties(words, Fault.columns(tensor), k);
            });

    /** Swaps neighbours of equal value: ids first in a row, then as many values. */
    private static void ties(ByteBuffer words, int columns, int k) {
        for (int row = 0; row < words.capacity() / Integer.BYTES; row += columns) {
            for (int i = row; i < row + k - 1; i++) {
                int value = words.getInt((i + k) * Integer.BYTES);
                if (value == words.getInt((i + k + 1) * Integer.BYTES) && value != Rig.BLANK) {
                    swap(words, i, i + 1);
                    i++;
                }
            }
        }
    }

    static final Fault QUERY_TURNED =
            after("q is turned by a wrong position", "attentionInput", (words, tensor, call, device) -> {
                float x0 = words.getFloat(0);
                float x1 = words.getFloat(Float.BYTES);
                words.putFloat(0, (float) (x0 * Math.cos(1) - x1 * Math.sin(1)));
                words.putFloat(Float.BYTES, (float) (x0 * Math.sin(1) + x1 * Math.cos(1)));
            });

    static final Fault NOT_A_NUMBER = after(
            "a value of q is not a number",
            "attentionInput",
            (words, tensor, call, device) -> words.putFloat(0, Float.NaN));

    static final Fault PAST_THE_ROWS = after(
            "the row past the batch is written",
            "attentionInput",
            (words, tensor, call, device) -> words.putFloat(words.capacity() - Float.BYTES, 0));

    static final Fault WRONG_BLOCK = new Fault("keys and values go to the wrong block", "attentionInput") {
        @Override
        Batch batch(Batch right) {
            return copy(right, 1, 0, true);
        }
    };

    static final Fault ONE_POSITION_SHORT = new Fault("a row does not see its own position", "attention") {
        @Override
        Batch batch(Batch right) {
            return copy(right, 0, -1, true);
        }
    };

    static final Fault MASK_IGNORED = new Fault("the mask is ignored", "topLogits") {
        @Override
        Batch batch(Batch right) {
            return copy(right, 0, 0, false);
        }
    };

    static final Fault SUM_OFF =
            after("the log-sum-exp of the first row is off", "topLogits", (words, tensor, call, device) -> {
                int k = (Fault.columns(tensor) - 1) / 3;
                words.putFloat(3 * k * Float.BYTES, words.getFloat(3 * k * Float.BYTES) + 0.01f);
            });

    static final Fault SLOT_FORGOTTEN = before(
            "the first value of the first slot is not added",
            "addSlots",
            (words, tensor, call, device) -> multiply(words, 0, 0));

    static final Fault ATTENDED_SCALED =
            after("the first row's values are scaled", "attention", (words, tensor, call, device) -> {
                for (int i = 0; i < Fault.columns(tensor); i++) {
                    multiply(words, i, 1.02f);
                }
            });

    static final List<Fault> ALL = List.of(
            VALUES_SWAPPED,
            LAST_COLUMN_DROPPED,
            DOWN_ROW_ZEROED,
            EXPERT_SCALED,
            SLOT_STALE,
            WEIGHTS_SWAPPED,
            IDS_SWAPPED,
            ROUTING_TIES_BY_HIGHER_ID,
            TOKEN_TIES_BY_HIGHER_ID,
            QUERY_TURNED,
            NOT_A_NUMBER,
            PAST_THE_ROWS,
            WRONG_BLOCK,
            ONE_POSITION_SHORT,
            ATTENDED_SCALED,
            MASK_IGNORED,
            SUM_OFF,
            SLOT_FORGOTTEN);

    /** The same rows, wanted rows, targets and adjustments, with blocks and positions shifted, and masks or none. */
    private static Batch copy(Batch right, int blockShift, int positionShift, boolean masked) {
        int vocabulary = right.shape().maskWords() * Integer.SIZE;
        Batch wrong = new Batch(right.shape());
        int most = 0;
        for (int sequence = 0; sequence < right.shape().tables(); sequence++) {
            for (int column = 0; column < right.shape().blocks(); column++) {
                most = Math.max(most, right.kvBlock(sequence, column, 1));
            }
        }
        for (int sequence = 0; sequence < right.shape().tables(); sequence++) {
            for (int column = 0; column < right.shape().blocks(); column++) {
                int block = right.kvBlock(sequence, column, 1);
                // Of two blocks each goes to the other; the last block of all goes to the first.
                wrong.setBlock(sequence, column, block < 0 ? block : (block + blockShift) % (most + 1));
            }
        }
        for (int row = 0; row < right.rows(); row++) {
            wrong.addRow(right.token(row), Math.max(0, right.position(row) + positionShift), right.sequence(row));
        }
        for (int wanted = 0; wanted < right.wanted(); wanted++) {
            wrong.addWanted(right.wantedRow(wanted));
            for (int slot = 0; slot < right.shape().targets(); slot++) {
                wrong.setTarget(slot, right.target(wanted, slot));
            }
            for (int i = right.adjustmentsBegin(wanted); i < right.adjustmentsBegin(wanted + 1); i++) {
                wrong.adjust(right.adjustedToken(i), right.penalty(i), right.added(i));
            }
            if (masked && vocabulary > 0) {
                wrong.setMask(mask(right, wanted));
            }
        }
        return wrong;
    }

    private static int[] mask(Batch right, int wanted) {
        int[] mask = new int[right.shape().maskWords()];
        for (int id = 0; id < mask.length * Integer.SIZE; id++) {
            if (right.allowed(wanted, id)) {
                mask[id / Integer.SIZE] |= 1 << id % Integer.SIZE;
            }
        }
        return mask;
    }
}
