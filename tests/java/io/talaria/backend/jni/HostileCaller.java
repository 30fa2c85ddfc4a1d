package io.talaria.backend.jni;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.Batch;
import io.talaria.backend.BatchShape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/** Makes random calls of {@link Native} on two devices of the CPU backend, and checks and counts the answers. */
final class HostileCaller {
    private static final BatchShape SHAPE = new BatchShape(4, 4, 2, 3, 2, 3, 2);
    private static final int[] NUMBERS = {
        0,
        1,
        2,
        3,
        31,
        33,
        64,
        -1,
        -2,
        1 << 16,
        Integer.MAX_VALUE,
        Integer.MIN_VALUE,
        0x7fc00000,
        0x7f800000,
        0xbf800000
    };
    private static final long[] LENGTHS = {0, 1, 2, -1, -4, 1L << 31, 1L << 32, 1L << 61, Long.MAX_VALUE, Long.MIN_VALUE
    };
    private static final int STEPS = 8;

    /** A step, whether it has ended, and the ops it holds, a bit each. */
    private record KnownStep(long handle, boolean ended, int ops) {}

    private final RandomGenerator random;
    private final Map<NativeCall, int[]> answers = new EnumMap<>(NativeCall.class);
    private final int[] executed = new int[Native.TALARIA_OP_WAIT + 1];
    private final ByteBuffer status = direct(512);
    private final ByteBuffer contents = direct(HostileTensor.MOST_BYTES);
    private final ByteBuffer target = direct(HostileTensor.MOST_BYTES);
    private final Batch batch = new Batch(SHAPE);
    private final String library = NativeLibrary.find("cpu").toString();
    private final long backend;
    private final long[] devices = new long[2];
    private final long[][] tensors = new long[2][HostileTensor.values().length];
    private final KnownStep[][] steps = new KnownStep[2][STEPS];
    private final long[] stale = new long[32];
    private long event;
    private int calls;

    HostileCaller(long seed) {
        random = RandomGeneratorFactory.of("L64X128MixRandom").create(seed);
        for (NativeCall call : NativeCall.values()) {
            answers.put(call, new int[5]);
        }
        for (int i = 0; i < contents.capacity(); i += 4) {
            contents.putInt(i, i / 1024 % 2 == 0 ? number() : Float.floatToRawIntBits(random.nextFloat(-1, 1)));
        }
        backend = handle(NativeCall.BACKEND_OPEN, Native.talaria_backend_open(library, ask()));
        assertTrue(backend != 0, library);
        event = handle(NativeCall.EVENT_NEW, Native.talaria_event_new(ask()));
        reopen(0);
        reopen(1);
    }

    int calls() {
        return calls;
    }

    int[] answers(NativeCall call) {
        return answers.get(call);
    }

    String summary() {
        StringBuilder summary = new StringBuilder();
        answers.forEach((call, counts) ->
                summary.append(call).append(' ').append(Arrays.toString(counts)).append(", "));
        return summary + "runs of each op " + Arrays.toString(executed);
    }

    int[] executed() {
        return executed;
    }

    void close() {
        for (long device : devices) {
            code(NativeCall.DEVICE_CLOSE, Native.talaria_device_close(device, ask()));
        }
        code(NativeCall.EVENT_FREE, Native.talaria_event_free(event, ask()));
    }

    void act() {
        int device = random.nextInt(2);
        int choice = random.nextInt(100);
        if (choice < 70) {
            actOnStep(device, random.nextInt(STEPS));
        } else if (choice < 82) {
            actOnBytes(device);
        } else if (choice < 90) {
            actOnTensor(device);
        } else if (choice < 96) {
            actOnEvent();
        } else {
            actOnDevice(device);
        }
    }

    // --- answers

    private static ByteBuffer direct(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private boolean oneIn(int n) {
        return random.nextInt(n) == 0;
    }

    private int number() {
        return oneIn(4) ? random.nextInt() : NUMBERS[random.nextInt(NUMBERS.length)];
    }

    private long length(long right) {
        long wrong =
                oneIn(2) ? right + random.nextInt(1, 5) * (oneIn(2) ? 1 : -1) : LENGTHS[random.nextInt(LENGTHS.length)];
        return wrong == right ? -1 : wrong;
    }

    private ByteBuffer ask() {
        return status.putInt(0, 77).putInt(4, 0x5a5a5a5a);
    }

    private int code(NativeCall call, int code) {
        calls++;
        assertTrue(code >= 0 && code <= 4, () -> call + " answered " + code);
        assertEquals(code, status.getInt(0), () -> call + ": the code is not the status's");
        assertEquals(
                code == 0, status.get(4) == 0, () -> call + ": a failure without a sentence, or a success with one");
        answers.get(call)[code]++;
        return code;
    }

    private long handle(NativeCall call, long handle) {
        assertEquals(handle != 0, status.getInt(0) == 0, () -> call + ": a handle and a failure, or neither");
        code(call, status.getInt(0));
        return handle;
    }

    private long anyHandle(int device) {
        HostileTensor tensor = HostileTensor.values()[random.nextInt(HostileTensor.values().length)];
        return switch (random.nextInt(8)) {
            case 0 -> 0;
            case 1 -> devices[random.nextInt(2)];
            case 2 -> event;
            case 3 -> stale[random.nextInt(stale.length)];
            case 4 -> tensors[device][tensor.ordinal()] ^ 1L << random.nextInt(64);
            case 5 -> tensors[1 - device][tensor.ordinal()];
            default -> tensors[device][tensor.ordinal()];
        };
    }

    private long deviceOf(int device) {
        return oneIn(32) ? anyHandle(device) : devices[device];
    }

    /** Closes a device that is lost, or is about to be, and opens it again. */
    private void reopen(int device) {
        if (devices[device] != 0) {
            code(NativeCall.DEVICE_CLOSE, Native.talaria_device_close(devices[device], ask()));
        }
        ByteBuffer options = direct(20).putInt(0, 20).putInt(4, 2).putInt(8, oneIn(4) ? 2 : 1);
        devices[device] = handle(NativeCall.DEVICE_OPEN, Native.talaria_device_open(backend, 0, options, 20, ask()));
        steps[device] = new KnownStep[STEPS];
        for (HostileTensor tensor : HostileTensor.values()) {
            renew(device, tensor);
        }
    }

    // --- devices, tensors, events

    private void actOnDevice(int device) {
        switch (random.nextInt(8)) {
            case 0 ->
                handle(
                        NativeCall.BACKEND_OPEN,
                        Native.talaria_backend_open(oneIn(2) ? library : oneIn(2) ? "" : "no library", ask()));
            case 1 -> {
                int count = Native.talaria_device_count(oneIn(2) ? backend : anyHandle(device), ask());
                handle(NativeCall.DEVICE_COUNT, count);
            }
            case 2 -> {
                ByteBuffer info = direct(152).putInt(0, oneIn(4) ? number() : 152);
                long bytes = oneIn(4) ? length(152) : 152;
                int index = oneIn(4) ? number() : 0;
                code(NativeCall.DEVICE_GET_INFO, Native.talaria_device_get_info(backend, index, info, bytes, ask()));
            }
            case 3 -> {
                ByteBuffer options = oneIn(8) ? null : direct(20).putInt(0, 20).putInt(oneIn(2) ? 4 : 8, -1);
                handle(NativeCall.DEVICE_OPEN, Native.talaria_device_open(anyHandle(device), 0, options, 20, ask()));
                code(NativeCall.DEVICE_CLOSE, Native.talaria_device_close(stale[0] | 1, ask()));
            }
            case 4 -> {
                if (oneIn(8)) {
                    reopen(device);
                }
            }
            case 5 -> {
                ByteBuffer memory = direct(40).putInt(0, oneIn(4) ? number() : 40);
                long size = oneIn(4) ? length(40) : 40;
                code(
                        NativeCall.DEVICE_GET_MEMORY,
                        Native.talaria_device_get_memory(deviceOf(device), memory, size, ask()));
                // Few, since a good one reads a mebibyte some times.
                if (oneIn(3)) {
                    long bytes = oneIn(2) ? random.nextInt(1, 1 << 20) : -random.nextLong(1L << 62);
                    double read = Native.talaria_read_bandwidth(deviceOf(device), bytes, ask());
                    handle(NativeCall.READ_BANDWIDTH, read > 0 ? 1 : 0);
                }
            }
            default -> lost(device, code(NativeCall.SYNC, Native.talaria_sync(deviceOf(device), ask())));
        }
    }

    private boolean lost(int device, int code) {
        if (code == Native.TALARIA_LOST) {
            reopen(device);
        }
        return code == Native.TALARIA_LOST;
    }

    private void renew(int device, HostileTensor tensor) {
        long fresh = handle(
                NativeCall.TENSOR_NEW,
                Native.talaria_tensor_new(devices[device], tensor.describe(), HostileTensor.DESC_BYTES, ask()));
        if (tensor.writable()) {
            int bytes = tensor.bytes();
            int at = random.nextInt(contents.capacity() - bytes + 1) & -4;
            code(
                    NativeCall.WRITE,
                    Native.talaria_write(devices[device], fresh, 0, contents.slice(at, bytes), bytes, ask()));
        }
        long old = tensors[device][tensor.ordinal()];
        tensors[device][tensor.ordinal()] = fresh;
        code(NativeCall.TENSOR_FREE, Native.talaria_tensor_free(devices[device], old, ask()));
        stale[random.nextInt(stale.length)] = old;
    }

    private void actOnTensor(int device) {
        HostileTensor tensor = HostileTensor.values()[random.nextInt(HostileTensor.values().length)];
        if (oneIn(2)) {
            renew(device, tensor);
            return;
        }
        ByteBuffer desc = tensor.describe();
        int at = 4 * random.nextInt(12);
        // A dimension of any size, with one that rules the whole out: nothing large is allocated.
        desc.putInt(at, number()).putLong(16 + 8 * random.nextInt(4), oneIn(2) ? 0 : Long.MAX_VALUE / 16);
        long bytes = oneIn(8) ? length(HostileTensor.DESC_BYTES) : HostileTensor.DESC_BYTES;
        long fresh = Native.talaria_tensor_new(deviceOf(device), oneIn(32) ? null : desc, bytes, ask());
        assertEquals(0, handle(NativeCall.TENSOR_NEW, fresh), "a tensor of no or of endless size was made");
    }

    private void actOnBytes(int device) {
        HostileTensor tensor = HostileTensor.values()[random.nextInt(HostileTensor.values().length)];
        long handle = oneIn(8) ? anyHandle(device) : tensors[device][tensor.ordinal()];
        int right = tensor.bytes();
        long bytes = oneIn(3) ? length(right) : oneIn(2) ? right : random.nextInt(right + 1);
        long offset = oneIn(3) ? LENGTHS[random.nextInt(LENGTHS.length)] : 0;
        int code = oneIn(2)
                ? code(NativeCall.READ, Native.talaria_read(deviceOf(device), handle, offset, target, bytes, ask()))
                : code(
                        NativeCall.WRITE,
                        Native.talaria_write(deviceOf(device), handle, offset, contents, bytes, ask()));
        lost(device, code);
    }

    private void actOnEvent() {
        long any = oneIn(4) ? anyHandle(0) : event;
        switch (random.nextInt(5)) {
            case 0 -> {
                code(NativeCall.EVENT_FREE, Native.talaria_event_free(any, ask()));
                code(NativeCall.EVENT_FREE, Native.talaria_event_free(event, ask()));
                event = handle(NativeCall.EVENT_NEW, Native.talaria_event_new(ask()));
            }
            case 1 -> code(NativeCall.EVENT_WAIT, Native.talaria_event_wait(any, oneIn(8) ? -1 : 0, ask()));
            case 2 -> code(NativeCall.EVENT_ABANDON, Native.talaria_event_abandon(any, ask()));
            default -> code(NativeCall.EVENT_SIGNAL, Native.talaria_event_signal(any, ask()));
        }
    }

    // --- steps

    private void actOnStep(int device, int slot) {
        KnownStep step = steps[device][slot];
        if (step == null || oneIn(32)) {
            beginStep(device, slot);
            return;
        }
        long handle = oneIn(16) ? anyHandle(device) : step.handle();
        int choice = random.nextInt(100);
        if (choice < 4) {
            code(NativeCall.STEP_FREE, Native.talaria_step_free(deviceOf(device), handle, ask()));
            steps[device][slot] = oneIn(8) ? step : null;
        } else if (choice < (step.ended() ? 12 : 80)) {
            append(device, slot, handle);
        } else if (choice < (step.ended() ? 16 : 95)) {
            int code = code(NativeCall.STEP_END, Native.talaria_step_end(deviceOf(device), handle, ask()));
            if (code == 0 && handle == step.handle()) {
                steps[device][slot] = new KnownStep(handle, true, step.ops());
            }
        } else {
            run(device, step, handle);
        }
    }

    private void beginStep(int device, int slot) {
        ByteBuffer options = direct(48).putInt(0, 48).putInt(4, random.nextInt(1, 3));
        int[] shape = {4, 4, 2, 3, 2, 3, 2, 0};
        for (int i = 0; i < shape.length; i++) {
            options.putInt(8 + 4 * i, shape[i]);
        }
        boolean spoilt = oneIn(4);
        if (spoilt) {
            // Never one that is granted: the number of rows below 1 rules it out.
            options.putInt(4 * random.nextInt(10), number()).putInt(8, -random.nextInt(5));
        }
        long bytes = oneIn(8) ? length(48) : 48;
        long fresh = handle(NativeCall.STEP_NEW, Native.talaria_step_new(deviceOf(device), options, bytes, ask()));
        if (fresh != 0) {
            KnownStep old = steps[device][slot];
            steps[device][slot] = new KnownStep(fresh, false, 0);
            if (old != null) {
                code(NativeCall.STEP_FREE, Native.talaria_step_free(devices[device], old.handle(), ask()));
            }
        }
    }

    private void append(int device, int slot, long handle) {
        int op = random.nextInt(1, Native.TALARIA_OP_WAIT + 1);
        if (op == Native.TALARIA_OP_WAIT && !oneIn(8)) {
            op = Native.TALARIA_OP_EXPERTS;
        }
        ByteBuffer args = HostileTensor.args(op, tensors[device], event);
        int right = args.remaining();
        int said = oneIn(32) ? number() : op;
        if (oneIn(4)) {
            int at = random.nextInt(right / 4) * 4;
            args.putInt(at, number());
        } else if (oneIn(4)) {
            args.putLong(8 + 8 * random.nextInt(right / 8 - 1), anyHandle(device));
        }
        long bytes = oneIn(32) ? length(right) : right;
        int code = code(
                NativeCall.STEP_APPEND,
                Native.talaria_step_append(deviceOf(device), handle, said, oneIn(64) ? null : args, bytes, ask()));
        KnownStep step = steps[device][slot];
        if (code == 0 && handle == step.handle()) {
            steps[device][slot] = new KnownStep(handle, false, step.ops() | 1 << said);
        }
        lost(device, code);
    }

    private void run(int device, KnownStep step, long handle) {
        HostileTensor.fill(batch, random);
        ByteBuffer words = batch.buffer();
        words.putInt(12, 0); // reserved: a batch never writes it, so an earlier spoilt one would stay
        int count = words.capacity() / 4;
        if (oneIn(2)) {
            words.putInt(4 * random.nextInt(oneIn(4) ? 4 : count), number());
        }
        if ((step.ops() >> Native.TALARIA_OP_WAIT & 1) == 1 && !oneIn(8)) {
            code(NativeCall.EVENT_SIGNAL, Native.talaria_event_signal(event, ask()));
        }
        long bytes = oneIn(32) ? length(words.capacity()) : words.capacity();
        int code = code(
                NativeCall.RUN, Native.talaria_run(deviceOf(device), handle, oneIn(64) ? null : words, bytes, ask()));
        if (lost(device, code) || code != 0 || !oneIn(2)) {
            return;
        }
        int synced = code(NativeCall.SYNC, Native.talaria_sync(devices[device], ask()));
        if (!lost(device, synced) && synced == 0) {
            for (int op = 1; op < executed.length; op++) {
                executed[op] += step.ops() >> op & 1;
            }
        }
    }
}
