package io.talaria.engine;

import io.talaria.backend.Device;
import io.talaria.backend.DeviceException;
import io.talaria.backend.Tensor;
import io.talaria.backend.TensorSource;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * A device that tells a test of its loads, reloads, runs, waits and reads, before or after it does them. Once a test has had it lost, it
 * refuses everything else, as a real one does.
 */
final class FaultyDevice {
    /** What a lost device still does. */
    private static final Set<String> HARMLESS = Set.of("close", "info", "memory");

    private final Device real;
    /** Called before each run with its number, from 0; what it throws the run throws. */
    private Runs beforeRun = number -> {};

    /** The same for each load. */
    private Runs beforeLoad = number -> {};

    /** Called before each wait for what it has been given. */
    private Runnable beforeSync = () -> {};

    private Reads afterRead = (source, target) -> {};

    /** What a weight is reloaded from, in place of what was given. */
    private UnaryOperator<TensorSource> reloaded = source -> source;

    private Optional<DeviceException> loss = Optional.empty();
    /** Whether it does not do what it is told to run. */
    private boolean deaf;

    private int runs;
    private int loads;

    interface Runs {
        void run(int number);
    }

    interface Reads {
        void read(Tensor source, ByteBuffer target);
    }

    FaultyDevice(Device real) {
        this.real = real;
    }

    /** Counts runs from 0 again. */
    void beforeRun(Runs hook) {
        beforeRun = hook;
        runs = 0;
    }

    /** Counts loads from 0 again. */
    void beforeLoad(Runs hook) {
        beforeLoad = hook;
        loads = 0;
    }

    /** From now on nothing that it is told to run is done. */
    void turnDeaf() {
        deaf = true;
    }

    void beforeSync(Runnable hook) {
        beforeSync = hook;
    }

    void afterRead(Reads hook) {
        afterRead = hook;
    }

    void onReload(UnaryOperator<TensorSource> hook) {
        reloaded = hook;
    }

    Device device() {
        return (Device) Proxy.newProxyInstance(
                Device.class.getClassLoader(), new Class<?>[] {Device.class}, (proxy, method, args) -> {
                    if (method.getName().equals("lost")) {
                        return loss.isPresent() || real.lost();
                    }
                    if (loss.isPresent() && !HARMLESS.contains(method.getName())) {
                        throw loss.get();
                    }
                    before(method.getName());
                    if (deaf && method.getName().equals("run")) {
                        return null;
                    }
                    if (method.getName().equals("reload")) {
                        args[1] = reloaded.apply((TensorSource) args[1]);
                    }
                    try {
                        Object result = method.invoke(real, args);
                        if (method.getName().equals("read")) {
                            afterRead.read((Tensor) args[0], (ByteBuffer) args[2]);
                        }
                        return result;
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }

    private void before(String method) {
        try {
            switch (method) {
                case "run" -> beforeRun.run(runs++);
                case "load" -> beforeLoad.run(loads++);
                case "sync" -> beforeSync.run();
                default -> {}
            }
        } catch (DeviceException e) {
            loss = e.kind() == DeviceException.Kind.LOST ? Optional.of(e) : loss;
            throw e;
        }
    }
}
