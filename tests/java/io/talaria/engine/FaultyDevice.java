package io.talaria.engine;

import io.talaria.backend.Device;
import io.talaria.backend.Tensor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;

/** A device that tells a test of its loads, runs and reads, before and after it does them. */
final class FaultyDevice {
    private final Device real;
    /** Called before each run with its number, from 0; what it throws the run throws. */
    private Runs beforeRun = number -> {};

    /** The same for each load. */
    private Runs beforeLoad = number -> {};

    private Reads afterRead = (source, target) -> {};
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

    void afterRead(Reads hook) {
        afterRead = hook;
    }

    Device device() {
        return (Device) Proxy.newProxyInstance(
                Device.class.getClassLoader(), new Class<?>[] {Device.class}, (proxy, method, args) -> {
                    if (method.getName().equals("run")) {
                        beforeRun.run(runs++);
                    }
                    if (method.getName().equals("load")) {
                        beforeLoad.run(loads++);
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
}
